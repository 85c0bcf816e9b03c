/** The training curves of a row: the mean loss of each epoch, a line for each run. */

function trainingCurves(curves) {
  const longest = Math.max(...curves.map((curve) => curve.epochs.at(-1)));
  if (longest < 2) {
    const losses = curves.map((curve) => curve.loss[0].toFixed(3));
    return el("p", {}, `One epoch; its mean loss was ${losses.join(", ")}.`);
  }
  const holder = el("div", { class: "drawing" });
  drawnToWidth(holder, (width) => holder.replaceChildren(drawCurves(curves, longest, width)));
  return el(
    "figure",
    {},
    holder,
    el("figcaption", {}, "Mean training loss of each epoch, a line for each run."),
  );
}

function drawCurves(curves, longest, width) {
  const height = 220;
  const box = { left: 46, right: width - 12, top: 22, bottom: height - 42 };
  const [low, high] = padded(curves.flatMap((curve) => curve.loss), 0.05);
  const x = linear([1, longest], [box.left, box.right]);
  const y = linear([low, high], [box.bottom, box.top]);
  const lines = curves.map((curve) => curveLine(curve, x, y));
  rove(lines);
  return canvas(
    width,
    height,
    { role: "group", "aria-label": "Training curves" },
    axes(box, {
      x,
      y,
      xTicks: linearTicks(1, longest, 6, 1),
      yTicks: linearTicks(low, high, 4),
      xTitle: "Epoch",
      yTitle: "Loss",
    }),
    lines,
  );
}

function curveLine(curve, x, y) {
  const path = curve.epochs
    .map((epoch, place) => `${place ? "L" : "M"}${x(epoch).toFixed(1)} ${y(curve.loss[place]).toFixed(1)}`)
    .join("");
  const last = curve.loss.at(-1);
  const lines = [curve.run, `loss ${last.toPrecision(3)} after ${curve.epochs.at(-1)} epochs`];
  const group = svg(
    "g",
    { class: "curve", role: "img", "aria-label": lines.join(": ") },
    svg("path", { class: "target", d: path }),
    svg("path", { class: "line", d: path }),
    curve.epochs.length === 1 ? svg("circle", { class: "once", cx: x(1), cy: y(last), r: 3 }) : null,
  );
  return withTooltip(group, lines);
}
