#include "json.h"

#include <stdlib.h>
#include <string.h>

static void blank(struct json *json) {
  while (json->at < json->end && *json->at && strchr(" \t\r\n", *json->at)) json->at++;
}

static bool take(struct json *json, char expected) {
  blank(json);
  bool found = json->at < json->end && *json->at == expected;
  json->at += found;
  return found;
}

/* Four hexadecimal digits. */
static uint32_t unit(struct json *json) {
  uint32_t value = 0;
  for (int i = 0; i < 4 && json->at < json->end; i++) {
    uint8_t digit = *json->at++;
    value = value << 4 | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
  }
  return value;
}

static uint32_t code_point(struct json *json) {
  uint32_t high = unit(json);
  bool pair = high >> 10 == 0x36 && json->end - json->at >= 6 && json->at[0] == '\\' && json->at[1] == 'u';
  if (!pair) return high;
  json->at += 2;
  return 0x10000 + ((high & 0x3ff) << 10) + (unit(json) & 0x3ff);
}

/* Returns the end of what was written. */
static uint8_t *utf8(uint8_t *to, uint32_t code) {
  int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
  *to++ = first[more] | code >> 6 * more;
  while (more-- > 0) *to++ = 0x80 | (code >> 6 * more & 0x3f);
  return to;
}

static uint8_t *escape(struct json *json, uint8_t *to) {
  static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
  uint8_t name = json->at < json->end ? *json->at++ : '"';
  if (name == 'u') return utf8(to, code_point(json));
  const char *known = name ? strchr(names, name) : NULL;
  *to++ = known ? meant[known - names] : name;
  return to;
}

bool json_string(struct json *json, uint8_t **text, size_t *length) {
  if (!take(json, '"')) return false;
  /* No escape is shorter than what it stands for. */
  uint8_t *to = *text = malloc(json->end - json->at + 1);
  while (json->at < json->end && *json->at != '"') {
    uint8_t byte = *json->at++;
    if (byte == '\\') to = escape(json, to);
    else *to++ = byte;
  }
  json->at += json->at < json->end;
  *length = to - *text;
  return true;
}

static bool named(struct json *json, const char *name) {
  uint8_t *text = NULL;
  size_t length = 0;
  bool same = json_string(json, &text, &length) && length == strlen(name) && memcmp(text, name, length) == 0;
  free(text);
  return same;
}

static void skip_string(struct json *json) {
  for (json->at++; json->at < json->end && *json->at != '"'; json->at++) json->at += *json->at == '\\';
  json->at++;
}

/* Moves behind a value: to the comma or the bracket that ends what it is in. */
static void skip(struct json *json) {
  for (int depth = 0; json->at < json->end;) {
    switch (*json->at) {
      case '"': skip_string(json); continue;
      case '{': case '[': depth++; break;
      case '}': case ']': if (depth-- == 0) return; break;
      case ',': if (depth == 0) return; break;
    }
    json->at++;
  }
}

bool json_member(struct json *json, const char *name) {
  if (!take(json, '{')) return false;
  do {
    bool found = named(json, name);
    if (!take(json, ':')) return false;
    if (found) return true;
    skip(json);
  } while (take(json, ','));
  return false;
}
