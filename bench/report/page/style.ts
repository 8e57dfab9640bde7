/** The page's style sheet: the browser's own fonts, both colour schemes, one column on a phone. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1c2330; --faint: #5b6575; --grid: #dfe3ea; --warning: #a3340a;
  --series-0: #1463c8; --series-1: #c4570a; --series-2: #17804a;
  --series-3: #9036ab; --series-4: #84700a; --series-5: #b3205c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181f; --text: #e4e8ef; --faint: #9ba6b8; --grid: #313a48; --warning: #ff9e70;
    --series-0: #6fb1ff; --series-1: #ffa05c; --series-2: #60d39b;
    --series-3: #d79bea; --series-4: #dfc352; --series-5: #ff8ab1;
  }
}
body {
  margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word;
}
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 0.5rem; }
header p, footer { color: var(--faint); font-size: 0.875rem; margin: 0.15rem 0; }
footer { margin-top: 2rem; }
.warning { color: var(--warning); margin: 0.15rem 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem 2rem; }
figure { margin: 1rem 0 0; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: 0.5rem; }
svg.bars { display: block; overflow: visible; }
svg.bars text { fill: var(--text); font-size: 13px; font-variant-numeric: tabular-nums; }
svg.bars .heading { fill: var(--faint); }
svg.bars .spread { stroke: var(--text); stroke-width: 2; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
.scroll th, .scroll td { padding: 0.3rem 0.75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
.scroll .left { text-align: left; }
.uplot { width: 100%; }
.u-legend { font-size: 12px; }
.u-legend .u-marker { width: 1.75em; height: 0; border-width: 2px 0 0 !important; }
.u-series:first-child .u-marker { display: none; }
`;
