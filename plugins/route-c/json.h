/* Finds one member of a JSON object; what flockerd hands over is JSON already, so nothing is validated. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in a text. */
struct json {
  const uint8_t *at, *end;
};

/* Moves from an object to the value of its member; false when there is no object or no such member. */
bool json_member(struct json *json, const char *name);

/* Reads a string into new memory, which the caller frees, and moves behind it; false when there is no string. */
bool json_string(struct json *json, uint8_t **text, size_t *length);
