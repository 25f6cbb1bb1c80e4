"""The page's style: two palettes and one sheet."""

LIGHT = {
    "page": "#f4f5f7",
    "card": "#ffffff",
    "sunk": "#f4f5f7",
    "line": "#dfe2e8",
    "grid": "#e6e9ee",
    "ink": "#171b24",
    "muted": "#565e6c",
    "hover": "#171b2412",
    "current": "#eef1f6",
    "equal": "#11703a",
    "different": "#b3261e",
    "in-motion": "#7a5200",
    "approximate": "#56606e",
    "equal-tint": "#e9f5ee",
    "different-tint": "#fcedeb",
    "in-motion-tint": "#fcf3df",
    "approximate-tint": "#eff1f4",
    "missing": "#c4420c",
    "orphaned": "#7a3fae",
    "stale": "#a87400",
    "refused": "#0c7a72",
    "unknown": "#67707e",
    "mended": "#1f8a4d",
    "items": "#5688d8",
    "documents": "#132a52",
    "lag": "#3566b8",
}
DARK = {
    "page": "#0e1116",
    "card": "#171b22",
    "sunk": "#0f1319",
    "line": "#2b313b",
    "grid": "#272d37",
    "ink": "#e8ebf0",
    "muted": "#a3abb8",
    "hover": "#ffffff16",
    "current": "#20262f",
    "equal": "#5fd38d",
    "different": "#ff8a80",
    "in-motion": "#e9b949",
    "approximate": "#a9b2bf",
    "equal-tint": "#14251b",
    "different-tint": "#2d1918",
    "in-motion-tint": "#2a2212",
    "approximate-tint": "#1d222a",
    "missing": "#ff8652",
    "orphaned": "#c79bf2",
    "stale": "#e8b93e",
    "refused": "#48c9bc",
    "unknown": "#9aa3b0",
    "mended": "#5fd38d",
    "items": "#3d70bf",
    "documents": "#dbe7fb",
    "lag": "#7fb0f5",
}


def style_sheet() -> str:
    """All of it; dark where the reader's system is, light on paper."""
    light, dark = _variables(LIGHT), _variables(DARK)
    return (
        f":root{{color-scheme:light dark;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"{_SHEET}"
    )


def _variables(palette: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


_SHEET = """
*,*::before,*::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  font-variant-numeric:tabular-nums}
main{max-width:68rem;margin:0 auto;padding:1.5rem 1.25rem 3rem;display:grid;gap:1.25rem;
  grid-template-columns:minmax(0,1fr)}
h1,h2,h3,p,ul,ol,dl,figure,table{margin:0;padding:0}
h1{font-size:1.55rem;line-height:1.25;font-weight:650;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.05rem;line-height:1.3;font-weight:650}
h3{font-size:.9375rem;line-height:1.35;font-weight:600}
ul,ol{list-style:none}
code{font:.875em/1.45 ui-monospace,"SF Mono",SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;
  overflow-wrap:anywhere;unicode-bidi:isolate}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.25rem 1.375rem;
  display:grid;gap:1rem;grid-template-columns:minmax(0,1fr)}
.quiet{color:var(--muted);font-size:.875rem}
.number{text-align:right;white-space:nowrap}
.sign circle{fill:currentColor}
.sign path{fill:none;stroke:var(--card);stroke-width:3.5;stroke-linecap:round;stroke-linejoin:round}

.verdict{--tone:var(--approximate);--tint:var(--approximate-tint);background:var(--tint);
  border-color:var(--tone);border-width:1px 1px 1px 6px}
.verdict.equal{--tone:var(--equal);--tint:var(--equal-tint)}
.verdict.different{--tone:var(--different);--tint:var(--different-tint)}
.verdict.in-motion{--tone:var(--in-motion);--tint:var(--in-motion-tint)}
.verdict .said{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.25rem 1.125rem;align-items:start}
.verdict .sign{color:var(--tone);grid-row:span 2;margin-top:.125rem}
.verdict .sign path{stroke:var(--tint)}
.verdict .label{color:var(--tone);font-weight:700;font-size:.875rem;line-height:1.4}
.verdict .caveat{font-size:1rem;grid-column:2}
.facts{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;font-size:.875rem;color:var(--muted)}
.facts b{font-weight:600;color:var(--ink)}
.depth,.depth ol{display:flex;flex-wrap:wrap;gap:0 .5rem;align-items:center}
.depth{font-size:.875rem;color:var(--muted);gap:0 .75rem}
.depth li{display:flex;align-items:center;gap:.5rem}
.depth li+li::before{content:"";width:1.25rem;height:1px;background:currentColor;opacity:.55}
.depth .chosen{color:var(--ink);font-weight:650}
.depth .chosen span{border:1.5px solid var(--tone);border-radius:99px;padding:0 .55rem}

.steps{counter-reset:step;display:grid;gap:.875rem}
.steps li{counter-increment:step;display:grid;grid-template-columns:1.75rem minmax(0,1fr);gap:.375rem .625rem}
.steps li::before{content:counter(step);width:1.5rem;height:1.5rem;border-radius:50%;background:var(--ink);
  color:var(--card);font-size:.8125rem;font-weight:650;line-height:1.5rem;text-align:center}
.steps .command{grid-column:2;background:var(--sunk);border:1px solid var(--line);border-radius:8px;
  padding:.4375rem .75rem;display:block}

.tiles{display:grid;gap:1px;background:var(--line);border:1px solid var(--line);border-radius:12px;overflow:hidden;
  grid-template-columns:repeat(6,minmax(0,1fr))}
.tiles>div{background:var(--card);padding:.875rem 1rem;display:flex;flex-direction:column;gap:.0625rem}
.tiles dt{font-size:.8125rem;color:var(--muted)}
.tiles dd{margin:0}
.tiles .figure{font-size:1.375rem;line-height:1.3;font-weight:650;letter-spacing:-.015em;overflow-wrap:anywhere}
.tiles .long{font-size:1.125rem;line-height:1.6}
.tiles .longest{font-size:.8125rem;line-height:2.2;letter-spacing:-.02em}
.tiles .quiet{font-size:.8125rem;line-height:1.35}

.charts{display:grid;grid-template-columns:auto minmax(0,1fr);column-gap:.625rem}
.charts figure{display:contents}
.charts figcaption,.charts .legend,.charts .note{grid-column:1/-1}
.charts figcaption{margin-top:1.25rem}
.charts figure:first-of-type figcaption{margin-top:0}
.charts .note{margin-top:.25rem}
.legend{display:flex;flex-wrap:wrap;gap:.125rem 1.125rem;margin:.25rem 0 .625rem;font-size:.8125rem;color:var(--muted)}
.legend li{display:inline-flex;align-items:center;gap:.4375rem}
.legend b{color:var(--ink);font-weight:600}
.axis{justify-self:end}
.canvas{display:block;width:100%;overflow:visible}
.axis text,.canvas text{font-size:12px;fill:var(--muted);font-family:inherit}
.canvas .now{fill:var(--ink);font-weight:650}
.narrow{display:none}
.grid{stroke:var(--grid);stroke-width:1}
.zero{stroke:var(--muted);stroke-width:1}
.current{fill:var(--current)}
.hit{fill:transparent}
.hit:hover{fill:var(--hover)}
.trace{fill:none;stroke-linecap:round;stroke-linejoin:round}
.trace.items{stroke:var(--items);stroke-width:7}
.trace.documents{stroke:var(--documents);stroke-width:2}
.trace.lag{stroke:var(--lag);stroke-width:2}
.dot.items{fill:var(--items)}
.dot.documents{fill:var(--documents)}
.dot.lag{fill:var(--lag)}
.nothing{fill:var(--equal);stroke:var(--equal);stroke-width:1.5}
.nothing.by-counts{fill:var(--card)}
.nothing.approximate{fill:none;stroke:var(--unknown);stroke-width:2}
.turn{stroke:var(--muted);stroke-width:1;stroke-dasharray:2 3}
.flag circle{fill:var(--muted)}
.flag text{fill:var(--card);font-weight:650;font-size:11px}
.bar{stroke-width:1}
.bar.unknown{stroke:var(--unknown)}
.bar.mended{stroke:var(--mended)}
.ground.missing{fill:var(--missing)}
.ground.orphaned{fill:var(--orphaned)}
.ground.stale{fill:var(--stale)}
.ground.refused{fill:var(--refused)}
.ground.unknown,.ground.mended{fill:var(--card)}
.figure{fill:none}
path.figure{stroke:var(--card);stroke-width:1.5}
path.figure.stale{stroke-width:2.5;stroke-linecap:round}
path.figure.unknown{stroke:var(--unknown);stroke-width:1.25}
path.figure.mended{stroke:var(--mended);stroke-width:1}
.fills{position:absolute}

table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{text-align:left}
th{font-weight:600;text-align:left;vertical-align:top}
thead th{font-size:.8125rem;color:var(--muted);white-space:nowrap}
th.number{text-align:right}
th,td{padding:.4375rem .75rem .4375rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
th:last-child,td:last-child{padding-right:0}
tbody tr:last-child th,tbody tr:last-child td{border-bottom:0}
tfoot th,tfoot td{border-top:1px solid var(--line);border-bottom:0;font-weight:650}
.plain{max-width:34rem}
.plain th{font-weight:400}
.kinds th .swatch{margin-right:.5rem;vertical-align:-1px}
.kinds .meaning{display:block;font-weight:400;color:var(--muted);font-size:.8125rem;line-height:1.35}
.kinds td.picture{width:30%;min-width:6rem;vertical-align:middle}
.kinds .picture svg{display:block;width:100%}
.fields{display:grid;gap:.375rem}
.fields li{display:grid;grid-template:"name track number"/minmax(0,15rem) minmax(0,1fr) 4.5rem;gap:0 .875rem;
  align-items:center}
.fields .track{grid-area:track;height:.625rem;display:block;width:100%}
.fields .number{grid-area:number}
.fields .track rect{fill:var(--stale)}
.ids{display:flex;flex-wrap:wrap;gap:.375rem}
.ids code{background:var(--sunk);border:1px solid var(--line);border-radius:6px;padding:.0625rem .4375rem}
.samples{display:grid;gap:.875rem;grid-template-columns:minmax(0,1fr)}
.samples h4{margin:0 0 .375rem;font-size:.875rem;font-weight:600;display:flex;align-items:center;gap:.5rem}
.notes{display:grid;gap:.375rem}
h2+.notes{margin-top:.625rem}
.notes li{padding-left:1.125rem;position:relative}
.notes li::before{content:"";position:absolute;left:.125rem;top:.6em;width:.375rem;height:.375rem;border-radius:50%;
  background:var(--muted)}
.split{display:grid;gap:1.25rem 2rem;grid-template-columns:repeat(2,minmax(0,1fr))}
.split>div{display:grid;gap:.625rem;align-content:start;grid-template-columns:minmax(0,1fr)}
.about{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.3125rem 1.25rem;font-size:.9375rem}
.about dt{color:var(--muted)}
.about dd{margin:0;overflow-wrap:anywhere}
details.card{display:block}
details summary{cursor:pointer;font-size:1.05rem;font-weight:650}
details summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--lag);outline-offset:3px;border-radius:4px}
.scroll{overflow-x:auto;margin-top:.875rem}
.runs{font-size:.8125rem}
.runs th,.runs td{white-space:nowrap;padding-right:1rem}
.runs tbody th{font-weight:400}
.runs .this th,.runs .this td{background:var(--current)}
.of{color:var(--muted);font-size:.8125rem}

@media (max-width:60rem){.tiles{grid-template-columns:repeat(3,minmax(0,1fr))}}
@media (max-width:40rem){
  main{padding:.75rem .75rem 2rem;gap:.875rem}
  .card{padding:1rem;border-radius:10px}
  h1{font-size:1.25rem}
  .tiles{grid-template-columns:repeat(2,minmax(0,1fr))}
  .tiles>div{padding:.75rem .875rem}
  .verdict .said{grid-template-columns:minmax(0,1fr)}
  .verdict .sign{width:36px;height:36px;grid-row:auto}
  .verdict .caveat{grid-column:1}
  .split{grid-template-columns:minmax(0,1fr)}
  .kinds td.picture,.kinds th.picture{display:none}
  .about{grid-template-columns:minmax(0,1fr);gap:0}
  .about dd{margin-bottom:.5rem}
  .fields li{grid-template:"name number" "track track"/minmax(0,1fr) auto;gap:.125rem .875rem}
  thead th,thead th.number{white-space:normal}
  .runs thead th,.runs thead th.number{white-space:nowrap}
  .depth ol,.depth li{gap:0 .3125rem}
  .depth li+li::before{width:.5rem}
  .canvas .nothing{r:1.5px;stroke-width:1}
  .ids code{font-size:.75rem;padding:.0625rem .3125rem}
  .narrow{display:inline}
  .wide{display:none}
}
@media print{
  body{background:#fff;font-size:11pt}
  main{padding:0;max-width:none;gap:.75rem}
  *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
  .card,.tiles,.verdict{break-inside:avoid}
  .card.long{break-inside:auto}
  .charts{display:block}
  .charts figure{display:grid;grid-template-columns:5rem minmax(0,1fr);column-gap:.625rem;break-inside:avoid}
  h2,h3,h4{break-after:avoid}
  .scroll{overflow:visible}
  details::details-content{content-visibility:visible;block-size:auto;opacity:1}
  .runs{font-size:6.5pt}
  .runs th,.runs td{padding:.125rem .3125rem .125rem 0}
}
"""
