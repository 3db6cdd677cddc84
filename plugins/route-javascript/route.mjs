// The example `route`: the container's label `flocker.constraint`, `zone==eu` or `zone!=eu`, limits the backends; of
// those left, the one with the fewest containers that run or are about to gets it, a tie goes by name.

import { backends } from "flocker:plugin/flock@0.1.0";

const LABEL = "flocker.constraint";

export const route = {
  place(request) {
    const container = JSON.parse(request.body ?? "{}");
    const expression = container.Labels?.[LABEL];
    const candidates = backends();
    const fitting = expression === undefined ? candidates : limited(candidates, expression);
    if (expression !== undefined && fitting.length === 0) {
      refuse(409, `no backend meets ${expression}`);
    }
    // They come ordered by name, and the sort keeps that order among equals.
    const [best] = fitting.sort((one, other) => load(one) - load(other));
    return { backend: best?.name, body: undefined };
  },
};

function limited(backends, expression) {
  // The first operator counts: a value may contain another.
  const match = /^(?!==|!=)(.+?)(==|!=)(.*)$/s.exec(expression);
  if (match === null) {
    refuse(400, `the label ${LABEL} is \`${expression}\`, not \`key==value\` or \`key!=value\``);
  }
  const [, key, operator, value] = match;
  // A label that is absent is not equal to anything.
  const met = ({ labels }) => labels.some(([name, found]) => name === key && found === value);
  return backends.filter((backend) => met(backend) === (operator === "=="));
}

function load(backend) {
  return backend.running + backend.placing;
}

function refuse(status, message) {
  throw { tag: "refused", val: { status, message } };
}
