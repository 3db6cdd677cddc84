/* The example `route`: the container's label `flocker.constraint`, `zone==eu` or `zone!=eu`, limits the backends; of
   those left, the one with the fewest containers that run or are about to gets it, a tie goes by name. */

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "route_hook.h"

#define LABEL "flocker.constraint"

typedef route_hook_string_t string;
typedef flocker_plugin_flock_backend_t backend;
typedef exports_flocker_plugin_route_error_t error;

struct constraint {
  string key, value;
  bool equal;
};

static bool same(string one, string other) {
  return one.len == other.len && memcmp(one.ptr, other.ptr, one.len) == 0;
}

/* Returns false, which is how a hook says that it left an error; the bindings free the message. */
static bool refuse(error *error, uint16_t status, const char *before, string quoted, const char *after) {
  char *message = malloc(strlen(before) + quoted.len + strlen(after) + 1);
  strcpy(message, before);
  strncat(message, (char *)quoted.ptr, quoted.len);
  strcat(message, after);
  error->tag = FLOCKER_PLUGIN_TYPES_ERROR_REFUSED;
  error->val.refused.status = status;
  route_hook_string_set(&error->val.refused.message, message);
  return false;
}

/* The first operator counts: a value may contain another. The parts point into the expression. */
static bool parse(string expression, struct constraint *constraint) {
  for (size_t at = 0; at + 1 < expression.len; at++) {
    const uint8_t *here = expression.ptr + at;
    if ((*here == '=' || *here == '!') && here[1] == '=') {
      constraint->key = (string){expression.ptr, at};
      constraint->value = (string){expression.ptr + at + 2, expression.len - at - 2};
      constraint->equal = *here == '=';
      return at > 0;
    }
  }
  return false;
}

/* A label that is absent is not equal to anything. */
static bool met(const struct constraint *constraint, const backend *backend) {
  bool found = false;
  for (size_t i = 0; i < backend->labels.len; i++) {
    route_hook_tuple2_string_string_t label = backend->labels.ptr[i];
    found |= same(label.f0, constraint->key) && same(label.f1, constraint->value);
  }
  return found == constraint->equal;
}

static uint32_t load(const backend *backend) { return backend->running + backend->placing; }

/* Returns NULL when none is left. They come ordered by name, and the first of equals is kept. */
static const backend *best(const flocker_plugin_flock_list_backend_t *backends, const struct constraint *constraint) {
  const backend *best = NULL;
  for (size_t i = 0; i < backends->len; i++) {
    const backend *one = &backends->ptr[i];
    if ((constraint == NULL || met(constraint, one)) && (best == NULL || load(one) < load(best))) best = one;
  }
  return best;
}

static bool choose(string *expression, exports_flocker_plugin_route_decision_t *decision, error *error) {
  struct constraint constraint;
  if (expression && !parse(*expression, &constraint))
    return refuse(error, 400, "the label " LABEL " is `", *expression, "`, not `key==value` or `key!=value`");
  flocker_plugin_flock_list_backend_t backends;
  flocker_plugin_flock_backends(&backends);
  const backend *chosen = best(&backends, expression ? &constraint : NULL);
  decision->body.is_some = false;
  decision->backend.is_some = chosen != NULL;
  /* What is returned is freed by the bindings, so it must be a copy. */
  if (chosen) route_hook_string_dup_n(&decision->backend.val, (char *)chosen->name.ptr, chosen->name.len);
  flocker_plugin_flock_list_backend_free(&backends);
  return decision->backend.is_some || !expression || refuse(error, 409, "no backend meets ", *expression, "");
}

bool exports_flocker_plugin_route_place(exports_flocker_plugin_route_request_t *request,
                                        exports_flocker_plugin_route_decision_t *decision, error *error) {
  struct json body = {request->body.val.ptr, request->body.val.ptr + request->body.val.len};
  string label = {0};
  bool limited = request->body.is_some && json_member(&body, "Labels") && json_member(&body, LABEL) &&
                 json_string(&body, &label.ptr, &label.len);
  bool decided = choose(limited ? &label : NULL, decision, error);
  free(label.ptr);
  exports_flocker_plugin_route_request_free(request);
  return decided;
}
