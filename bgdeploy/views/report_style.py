"""How a report looks: light, dark, narrow and printed. It needs no font, image or script from anywhere."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d8dee4; --tint: #f4f6f8;
  --good: #1a7f37; --good-tint: #e9f7ee; --bad: #c0222b; --bad-tint: #fdeeee; --open: #8a5a00; --open-tint: #fff6e0;
  --blue: #2f6fc4; --blue-tint: #c9ddf7; --green: #3fa35c; --done: #7d8fa3; --other: #b9a7c7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --ink: #e4e9ee; --soft: #9aa6b2; --rule: #313943; --tint: #1c222a;
    --good: #56c271; --good-tint: #14291b; --bad: #ff7b78; --bad-tint: #331a1b; --open: #e3b341; --open-tint: #2d2512;
    --blue: #6ea8fe; --blue-tint: #22406d; --green: #2f8a4c; --done: #6e8196; --other: #7d6a8d;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.5rem 3rem; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; margin: .35rem 0 .6rem; font-weight: 650; }
h2 { font-size: 1.15rem; margin: 2.75rem 0 .75rem; font-weight: 650; }
h3 { font-size: 1rem; margin: 0 0 .25rem; font-weight: 600; }
p { margin: .35rem 0; }
code, .mono, td.when {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .86em;
}
code, dd, p, li, caption { overflow-wrap: anywhere; }
td, th { overflow-wrap: break-word; }
td.long { overflow-wrap: anywhere; min-width: 12rem; }
.soft, caption, figcaption, footer { color: var(--soft); font-size: .875rem; }

.verdict {
  border-left: .35rem solid var(--tone); background: var(--tone-tint);
  padding: 1.1rem 1.4rem 1.2rem;
}
.verdict .eyebrow { color: var(--soft); font-size: .875rem; margin: 0; }
.verdict h1 .mark { color: var(--tone); margin-right: .15em; }
.verdict ul { margin: .5rem 0 0; padding-left: 1.2rem; }
.good { --tone: var(--good); --tone-tint: var(--good-tint); }
.bad { --tone: var(--bad); --tone-tint: var(--bad-tint); }
.open { --tone: var(--open); --tone-tint: var(--open-tint); }
.next { margin: .9rem 0 0; }
.next ul { list-style: none; margin: .2rem 0 0; padding: 0; }
.next li { margin: .35rem 0; }
.next code {
  border: 1px solid var(--rule); background: var(--paper); border-radius: .3rem; padding: .1rem .5rem;
  box-decoration-break: clone; -webkit-box-decoration-break: clone;
}

dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr));
  gap: .9rem 2rem; margin: 1.5rem 0 0;
}
dl div.wide { grid-column: 1 / -1; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; }

.phases { list-style: none; display: flex; flex-wrap: wrap; gap: 2px; padding: 0; margin: 0 0 1rem; }
.phases li {
  flex: 1 1 auto; min-width: fit-content; background: var(--tint); padding: .3rem .7rem;
  border-top: 3px solid var(--done);
}
.phases li.bad { border-top-color: var(--bad); }
.phases li.kept { border-top-color: var(--green); }
.phases strong { display: block; font-weight: 600; font-size: .875rem; }

table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; padding-bottom: .4rem; }
th, td {
  text-align: left; vertical-align: top; padding: .32rem .9rem .32rem 0;
  border-bottom: 1px solid var(--rule);
}
th { font-weight: 600; }
thead th { color: var(--soft); font-weight: 500; font-size: .8rem; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.when { white-space: nowrap; }
td.bars { width: 38%; padding-right: 0; min-width: 7rem; vertical-align: middle; }
tr.bad th, td.bad, .fail-word { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; }
.scroll + .scroll, .scroll + figure { margin-top: 1.5rem; }

figure { margin: 0 0 1.25rem; }
figcaption { margin-top: .3rem; }
.axis {
  display: flex; justify-content: space-between; gap: 1rem; color: var(--soft); font-size: .78rem;
  font-variant-numeric: tabular-nums;
}
.legend {
  list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0;
  margin: 0 0 .4rem; font-size: .875rem;
}
.legend svg { vertical-align: -1px; margin-right: .35rem; }
.check { border-top: 1px solid var(--rule); padding: 1rem 0 .6rem; break-inside: avoid; }
.check h3 .mark { margin-right: .3rem; }
.check.good h3 .mark, .check.bad h3 .mark, .check.open h3 .mark { color: var(--tone); }
pre {
  background: var(--tint); padding: .6rem .8rem; margin: .5rem 0; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .8rem;
}
.check figure { margin: .7rem 0; }
.series {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr));
  gap: 0 2rem;
}
details { margin: .4rem 0; }
summary { cursor: pointer; color: var(--soft); font-size: .875rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--rule); padding-top: .8rem; }

svg { display: block; overflow: hidden; }
rect { shape-rendering: crispEdges; }
svg.at { overflow: visible; }
svg.patterns { position: absolute; }
svg.swatch { display: inline-block; }
svg.plot { background: var(--tint); border-radius: 2px; }
.grid { stroke: var(--paper); stroke-width: 1; opacity: .55; }
.rail { stroke: var(--rule); stroke-width: 1; }
.span { fill: var(--done); }
.span.bad { fill: var(--bad); }
.span.busy { fill: var(--open); }
.track { fill: var(--tint); }
.side-green { fill: var(--green); }
.side-blue { fill: url(#hatch-blue); }
.side-other { fill: var(--other); }
.gap { fill: url(#dots-gap); }
.hatch-blue .ground { fill: var(--blue-tint); }
.hatch-blue .ink { stroke: var(--blue); stroke-width: 2; }
.hatch-alarm .ground { fill: var(--bad-tint); }
.hatch-alarm .ink { stroke: var(--bad); stroke-width: 3; }
.dots-gap .ground { fill: var(--paper); opacity: .6; }
.dots-gap .ink { stroke: var(--ink); stroke-width: 1.5; }
.state.ok { fill: var(--good); }
.state.alarm, .state.missing { fill: url(#hatch-alarm); stroke: var(--bad); }
.state.insufficient-data { fill: var(--done); opacity: .6; }
text { fill: var(--soft); font-size: 11px; }
text.scale { fill: var(--ink); paint-order: stroke; stroke: var(--tint); stroke-width: 3px; }
text.limit { fill: var(--ink); }
text.end { text-anchor: end; }
line.limit { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 5 4; }
line.tick { stroke-dasharray: none; stroke-width: 2.5; }
.pass { fill: var(--good); stroke: var(--tint); }
.fail { fill: none; stroke: var(--bad); stroke-width: 2.5; }
.unsure { fill: var(--paper); stroke: var(--open); stroke-width: 2; }

@media (max-width: 40rem) {
  main { padding: 1rem 1rem 2rem; }
  h1 { font-size: 1.35rem; }
  td.bars { min-width: 4.5rem; }
  .began, th .axis span:nth-child(2) { display: none; }
  table { font-size: .8rem; }
  thead th { font-size: .72rem; }
  th, td { padding-right: .5rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc; --tint: #f4f6f8;
    --good: #1a7f37; --good-tint: #f1faf4; --bad: #b3151f; --bad-tint: #fdf1f1; --open: #7a4f00; --open-tint: #fff9ea;
    --blue: #2f6fc4; --blue-tint: #d5e4f8; --green: #3fa35c; --done: #7d8fa3; --other: #b9a7c7;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  @page { margin: 15mm; }
  html { font-size: 13px; }
  body { font-size: 13px; }
  main { max-width: none; padding: 0; }
  h2 { margin-top: 1.6rem; break-after: avoid; }
  figure, tr, .verdict, .check { break-inside: avoid; }
  details:not([open]) { display: none; }
}
"""
