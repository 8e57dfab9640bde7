/**
 * The page's own script: draws the plots that the page carries as JSON. It is
 * compiled with the rest, and its text is put into the page (page.ts); it runs
 * in a browser and imports nothing but types. When all is drawn, <html> has
 * data-ready="true".
 */
import type Plot from "uplot";
import type { Line, LinePlot } from "./line-plot.js";

/** uPlot's own script stands before this one in the page. */
declare const uPlot: typeof Plot;

const HEIGHT = 280;
/** A line of more values than this does without a dot for each. */
const POINTS_MAX = 20;
const FONT = "12px system-ui, sans-serif";

/** A colour of the style sheet, as it is in the present scheme. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function axis(options: Plot.Axis): Plot.Axis {
  const line = { stroke: colour("grid"), width: 1 };
  return {
    stroke: colour("text"),
    font: FONT,
    labelFont: FONT,
    labelSize: 20,
    grid: line,
    ticks: line,
    ...options,
  };
}

function digits(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function seriesOf({ name, colour: number, isDashed, values }: Line): Plot.Series {
  return {
    label: name,
    stroke: colour(`series-${number}`),
    width: 2,
    ...(isDashed && { dash: [6, 4] }),
    points: { show: values.length < POINTS_MAX, fill: colour("page") },
    value: (_plot, value) => (value === null ? "–" : `${digits(value)} ms`),
  };
}

function draw(plot: LinePlot, place: HTMLElement): void {
  const { xMarks } = plot;
  const markAt = (at: number | null) => xMarks?.find((mark) => mark.at === at)?.text;
  const options: Plot.Options = {
    width: place.clientWidth,
    height: HEIGHT,
    scales: { x: { time: false }, y: { distr: 3 } },
    cursor: { drag: { x: false, y: false } },
    legend: { markers: { dash: (_plot, at) => (plot.lines[at - 1]?.isDashed ? "dashed" : "solid") } },
    axes: [
      axis({
        label: plot.xLabel,
        size: 28,
        ...(xMarks && {
          splits: () => xMarks.map(({ at }) => at),
          values: (_plot, at) => at.map((one) => markAt(one) ?? ""),
        }),
      }),
      axis({ size: 56, values: (_plot, at) => at.map((one) => (one === null ? "" : digits(one))) }),
    ],
    series: [
      { label: plot.xLabel, value: (_plot, at) => (at === null ? "–" : (markAt(at) ?? xText(plot, at))) },
      ...plot.lines.map(seriesOf),
    ],
  };
  place.replaceChildren();
  const data = [plot.x, ...plot.lines.map(({ values }) => values)];
  new uPlot(options, data as Plot.AlignedData, place);
}

/** Between two marks of the percentile axis its value is in nines (plots.ts). */
function xText({ xMarks }: LinePlot, at: number): string {
  return xMarks === null ? digits(at) : `p${(100 * (1 - 10 ** -at)).toFixed(3)}`;
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

const plots: readonly LinePlot[] = JSON.parse(element("plots").textContent ?? "");

function drawAll(): void {
  plots.forEach((plot, at) => {
    draw(plot, element(`plot-${at}`));
  });
}

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let drawnWidth = innerWidth;
addEventListener("resize", () => {
  // Phones resize the window's height while they scroll; only the width matters.
  if (innerWidth === drawnWidth) return;
  drawnWidth = innerWidth;
  drawAll();
});
// uPlot draws in a microtask; this one comes after those.
queueMicrotask(() => {
  document.documentElement.dataset.ready = "true";
});
