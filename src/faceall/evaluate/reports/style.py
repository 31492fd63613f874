"""Style sheet of the HTML report."""

STYLE = """
:root{--paper:#fff;--sheet:#f6f7f9;--ink:#1b1f24;--soft:#646d78;--rule:#dfe3e8;--good:#1a7f5a;--bad:#c4372b;
--one:#2f6fde;--two:#e0742a;--c0:#2f6fde;--c1:#e0742a;--c2:#1a9d6c;--c3:#a24bd1;--c4:#c92a5c;--c5:#7a6a10}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--sheet:#1d2126;--ink:#e9ecef;--soft:#9aa3ad;--rule:#333a42;
--good:#4cc38a;--bad:#ff7b6b;--one:#6fa3ff;--two:#ff9f5a;--c0:#6fa3ff;--c1:#ff9f5a;--c2:#4fd1a1;--c3:#c99bf0;
--c4:#ff7fa5;--c5:#d6c25a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 24px 48px}
h1{font-size:28px;line-height:1.2;margin:0 0 18px;letter-spacing:-.01em}
h2{font-size:19px;margin:36px 0 4px}
h3{font-size:14px;font-weight:600;color:var(--soft);margin:18px 0 10px}
.facts{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 22px}
.facts div{background:var(--sheet);border:1px solid var(--rule);border-radius:8px;padding:9px 16px;min-width:108px}
.facts dd{margin:0;font-size:20px;font-weight:650;font-variant-numeric:tabular-nums}
.facts dt{font-size:12px;color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:9px 8px;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top;white-space:nowrap}
th:first-child,.plain td{text-align:left}
thead th{font-size:12px;font-weight:600;color:var(--soft)}
tbody th{font-weight:600}
td small,th small{display:block;color:var(--soft);font-size:11.5px}
td b{color:var(--bad)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:18px;margin-top:26px}
figure{margin:0;border:1px solid var(--rule);border-radius:10px;padding:14px 14px 12px;background:var(--sheet)}
figcaption{font-weight:600;margin-bottom:8px}
svg{display:block;width:100%;height:auto}
svg text{font-size:12px;fill:var(--soft)}
svg .label{font-size:12.5px;fill:var(--ink)}
.grid{stroke:var(--rule);stroke-width:1}
.axis{fill:none;stroke:var(--soft);stroke-width:1.2}
.limit{stroke:var(--ink);stroke-width:1.4;stroke-dasharray:5 4}
.curve{fill:none;stroke-width:2.2;stroke-linejoin:round}
.curve.c0{stroke:var(--c0)}.curve.c1{stroke:var(--c1);stroke-dasharray:7 3}.curve.c2{stroke:var(--c2)}
.curve.c3{stroke:var(--c3);stroke-dasharray:2 3}.curve.c4{stroke:var(--c4)}.curve.c5{stroke:var(--c5)}
.bars{fill-opacity:.35;stroke-width:1.6}
.bars.same{fill:var(--one);stroke:var(--one)}.bars.other{fill:var(--two);stroke:var(--two)}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:12.5px;color:var(--soft);margin:8px 0 0 6px}
.swatch{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:7px}
.swatch.c0{background:var(--c0)}.swatch.c1{background:var(--c1)}.swatch.c2{background:var(--c2)}
.swatch.c3{background:var(--c3)}.swatch.c4{background:var(--c4)}.swatch.c5{background:var(--c5)}
.swatch.same{background:var(--one)}.swatch.other{background:var(--two)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(236px,1fr));gap:14px}
.card{border:1px solid var(--rule);border-left:4px solid var(--good);border-radius:8px;padding:8px 10px;
background:var(--sheet)}
.card.wrong{border-left-color:var(--bad)}
.card p{margin:6px 0 0}
.card small{color:var(--soft);overflow-wrap:anywhere;line-height:1.35;display:block}
.card.wrong b{color:var(--bad)}
.two{display:grid;grid-auto-flow:column;grid-auto-columns:1fr;gap:4px}
.two img,.gone{display:block;width:100%;aspect-ratio:1;object-fit:cover;border-radius:5px;background:var(--rule)}
.gone{font-size:11px;padding:6px;overflow:hidden}
footer{margin-top:40px;border-top:1px solid var(--rule);padding-top:14px;
color:var(--soft);font-size:13px;max-width:82ch}
"""
