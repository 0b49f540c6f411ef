/** The look of a report: both themes, phone width, paper. Colours have a contrast of at least 4.5 to their ground. */
export const STYLE = `
:root{--ground:#fff;--ink:#1a1f26;--quiet:#57606a;--line:#d0d7de;--good:#116329;--bad:#a40e26;--bar:#0b5cad;
--fault:#f2c7cd;--card:#f6f8fa}
@media (prefers-color-scheme:dark){:root{--ground:#0f1419;--ink:#e6edf3;--quiet:#9da7b3;--line:#30363d;
--good:#57c872;--bad:#ff8a94;--bar:#6cb6ff;--fault:#5a2430;--card:#161b22}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{margin:.1rem 0;font-size:1.7rem;line-height:1.2;overflow-wrap:anywhere}
h2{margin:2rem 0 .6rem;font-size:1.15rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
h3{margin:1rem 0 .3rem;font-size:1rem}
p{margin:.4rem 0}
.kicker,.quiet,small,figcaption{color:var(--quiet);font-size:.875rem}
small{display:block;font-weight:400}
.outcome{background:var(--card);border-left:4px solid var(--line);padding:.5rem .8rem;overflow-wrap:anywhere}
.outcome.good{border-color:var(--good)}.outcome.bad{border-color:var(--bad)}
.outcome.good strong{color:var(--good)}.outcome.bad strong,td.bad{color:var(--bad)}
.outcome strong{text-transform:uppercase;letter-spacing:.04em;margin-right:.4rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line);
overflow-wrap:break-word}
th[scope=row],td:last-child{min-width:8rem}
thead th{color:var(--quiet);font-weight:600;white-space:nowrap}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:minmax(9rem,14rem) 1fr;gap:.3rem 1rem;margin:0}
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
.code,code{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:.875em}
figure{margin:0}svg{width:100%;height:auto;display:block}
svg text{fill:var(--quiet);font-size:11px}.bar{fill:var(--bar)}.fault{fill:var(--fault)}
.axis{stroke:var(--line)}
@media (max-width:40rem){dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
@media print{:root{--ground:#fff;--ink:#000;--quiet:#444;--line:#bbb;--good:#116329;--bad:#a40e26;
--bar:#0b5cad;--fault:#f2c7cd;--card:#f4f4f4}body{font-size:11pt}main{max-width:none;padding:0}
section,tr,figure{break-inside:avoid}section:has(tbody tr:nth-child(12)){break-inside:auto}
.bar,.fault,.outcome{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`
