"use strict";

/**
 * Elements, tooltips, numbers. Whatever comes from a record enters the page as text or as the
 * value of an attribute, never as markup.
 */

const SVG = "http://www.w3.org/2000/svg"; // a name, not an address that is loaded

/** An HTML element. A function among the attributes listens to the event of that name. */
function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element, likewise. */
function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

let boxes = 0; // select boxes so far, by which each gets an id

/** A select box beside its label. Options are pairs of value and text. */
function selectBox(label, options, chosen, onChange) {
  const id = `select-${(boxes += 1)}`;
  const select = el(
    "select",
    { id, change: () => onChange(select.value) },
    options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)),
  );
  const element = el("span", { class: "control" }, el("label", { for: id }, label), select);
  return { element, select };
}

/** Names and values, one below the other. */
function definitions(pairs) {
  return el(
    "dl",
    {},
    pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/**
 * One stop of the Tab key for many points: arrow keys, Home and End move among them.
 * The points are in the order in which the keys pass through them.
 */
function rove(points) {
  points.forEach((point, place) => point.setAttribute("tabindex", place === 0 ? 0 : -1));
  const moves = {
    ArrowRight: (place) => place + 1,
    ArrowUp: (place) => place + 1,
    ArrowLeft: (place) => place - 1,
    ArrowDown: (place) => place - 1,
    Home: () => 0,
    End: () => points.length - 1,
  };
  points.forEach((point, place) =>
    point.addEventListener("keydown", (event) => {
      if (!(event.key in moves)) return;
      event.preventDefault();
      const next = points[moves[event.key](place)];
      if (!next) return;
      point.setAttribute("tabindex", -1);
      next.setAttribute("tabindex", 0);
      next.focus();
    }),
  );
}

/** Show a tooltip while the pointer is over a point or the point has the focus. */
function withTooltip(point, lines) {
  const show = () => showTooltip(point, lines);
  for (const event of ["pointerenter", "focus"]) point.addEventListener(event, show);
  for (const event of ["pointerleave", "blur"]) point.addEventListener(event, hideTooltip);
  return point;
}

let pointed = null; // the point that the tooltip is of

function showTooltip(point, lines) {
  const tip = document.getElementById("tooltip");
  // An open dialog lies above everything else, so that a tooltip over it must be inside.
  (point.closest("dialog") ?? document.body).append(tip);
  tip.replaceChildren(
    ...lines.map((line, place) => el(place === 0 ? "strong" : "span", {}, line)),
  );
  tip.hidden = false;
  pointed = point;
  placeTooltip();
}

/** Put the tooltip above its point, or below it where there is no room. */
function placeTooltip() {
  const tip = document.getElementById("tooltip");
  if (tip.hidden) return;
  const around = pointed.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const left = around.left + around.width / 2 - own.width / 2;
  const above = around.top - own.height - 8;
  tip.style.left = `${Math.max(4, Math.min(left, innerWidth - own.width - 4))}px`;
  tip.style.top = `${above < 4 ? around.bottom + 8 : above}px`;
}

function hideTooltip() {
  document.getElementById("tooltip").hidden = true;
}

/** A number with so many decimals, with a true minus sign and no negative zero. */
function fixed(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** Draw into an element whenever its width changes. */
function drawnToWidth(element, draw) {
  let width = 0;
  new ResizeObserver(() => {
    const now = Math.floor(element.clientWidth);
    if (now > 0 && now !== width) draw((width = now));
  }).observe(element);
}
