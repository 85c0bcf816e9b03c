/** Scales and axes of the plots. */

/** A function from values to pixels. */
function linear([low, high], [from, to]) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function logarithmic([low, high], range) {
  const scale = linear([Math.log10(low), Math.log10(high)], range);
  return (value) => scale(Math.log10(value));
}

/** Round values within a range, some four to eight of them, no closer than `least`. */
function linearTicks(low, high, count = 5, least = 0) {
  const rough = Math.max((high - low) / count, least);
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * decade).find((each) => each >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + step * 1e-9; tick += 1) {
    ticks.push({ value: tick * step, label: fixed(tick * step, digits) });
  }
  return ticks;
}

/** 1, 2 and 5 of each decade; 1 alone where that would be more than there is room for. */
function logTicks(low, high, room) {
  const decades = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    decades.push(power);
  }
  const within = (factors) =>
    decades
      .flatMap((power) => factors.map((factor) => factor * 10 ** power))
      .filter((value) => value >= low && value <= high);
  const found = [[1, 2, 5], [1, 3], [1]].map(within);
  const fitting = found.find((each) => each.length <= room && each.length > 1) ?? found[0];
  return fitting.map((value) => ({ value, label: size(value) }));
}

function size(value) {
  const units = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " K"]];
  const [limit, unit] = units.find(([each]) => value >= each * 0.9999) ?? [1, ""];
  return `${Number((value / limit).toPrecision(3))}${unit}`;
}

/** A low and a high end with some room beyond; never an empty range. */
function padded(values, share) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * share;
  return [low - room, high + room];
}

/** A drawing of a size in pixels; printed, it shrinks to the paper. */
function canvas(width, height, attributes, ...children) {
  const viewBox = `0 0 ${width} ${height}`;
  return svg("svg", { width, height, viewBox, ...attributes }, children);
}

/** Grid, ticks and titles. Only what is given is drawn. */
function axes(box, { x, y, xTicks = [], yTicks = [], xTitle = "", yTitle = "" }) {
  const parts = [];
  for (const { value, label } of xTicks) {
    parts.push(
      svg("line", { class: "grid", x1: x(value), x2: x(value), y1: box.top, y2: box.bottom }),
      svg("text", { class: "tick", x: x(value), y: box.bottom + 16, "text-anchor": "middle" }, label),
    );
  }
  for (const { value, label } of yTicks) {
    parts.push(
      svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick", x: box.left - 7, y: y(value) + 4, "text-anchor": "end" }, label),
    );
  }
  const middle = (box.left + box.right) / 2;
  parts.push(
    svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    svg("text", { class: "title", x: middle, y: box.bottom + 35, "text-anchor": "middle" }, xTitle),
    svg("text", { class: "title", x: box.left, y: box.top - 9, "text-anchor": "start" }, yTitle),
  );
  return svg("g", { "aria-hidden": "true" }, parts);
}
