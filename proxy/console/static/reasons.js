// Why a charge is what it is: a sentence for each reason, or the reason's name where there is none.

import { element } from "./dom.js";

// The API explains reasons as {reason, detail, sentence}; `reasons` has them as "reason:detail".
const explained = (call) => call.explained ?? call.reasons.map((reason) => ({ reason }));

const named = ({ reason, detail }) => (detail ? `${reason}:${detail}` : reason);

export function sentences(call) {
  return explained(call).map((one) => one.sentence || named(one));
}

export function reasons(call) {
  return explained(call).map((one) => {
    const item = element("p", one.sentence ? one.sentence + " " : "");
    item.append(element("code", named(one)));
    return item;
  });
}
