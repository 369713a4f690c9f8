"""How the page looks: one style sheet, inside the page itself."""

CSS = """
:root { --ink: #222; --grey: #595959; --pale: #e3e3e3; --main: #0072B2; --on: #D55E00; }
* { box-sizing: border-box; }
body { margin: 0; font: 14px/1.35 system-ui, sans-serif; color: var(--ink); background: #fff; }
header { display: flex; gap: 12px; align-items: center; padding: 2px 12px;
  border-bottom: 1px solid var(--pale); min-height: 42px; }
header h1 { font-size: 17px; margin: 0; white-space: nowrap; }
#message { flex: 1; color: #8a3600; font-weight: 600; min-height: 1.3em; }
main { display: grid; grid-template-columns: 432px minmax(0, 1fr); gap: 12px; padding: 4px 12px; }
@media (max-width: 1000px) { main { grid-template-columns: 1fr; } }
h2 { font-size: 14px; margin: 0 0 2px; }
.row { display: flex; gap: 6px; align-items: center; flex-wrap: wrap; margin: 3px 0; }
.worlds { display: grid; grid-template-columns: 1fr 1fr; gap: 8px; }
.hint { color: var(--grey); margin: 2px 0; }
.call { font-size: 15px; margin: 4px 0 0; }
.call b { color: #b34700; }
button, .button { font: inherit; padding: 3px 10px; border: 1px solid #767676; border-radius: 4px;
  background: #f6f6f6; cursor: pointer; color: var(--ink); text-decoration: none; }
button:hover { background: #e9e9e9; }
button:disabled { opacity: .45; cursor: default; }
button.main { background: var(--main); border-color: var(--main); color: #fff; }
button.chip { border-color: var(--on); background: #fff3ea; }
*:focus-visible { outline: 3px solid #E69F00 !important; outline-offset: 1px; }
input[type=number], input[type=text] { font: inherit; padding: 3px 5px; border: 1px solid #767676;
  border-radius: 4px; }
.short { width: 64px; } .middle { width: 110px; }
.pick { min-width: 132px; } .wide { min-width: 180px; flex: 1; }
label { margin-right: 8px; }
.panel { border: 1px solid var(--pale); border-radius: 6px; padding: 4px 8px; margin-bottom: 6px; }
.sliders { display: grid; grid-template-columns: 1fr 1fr; gap: 0 12px; }
.sides { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 10px; }
pre { background: #f6f6f6; padding: 8px; overflow: auto; max-height: 420px; border-radius: 6px; }
table { border-collapse: collapse; } td, th { padding: 2px 10px 2px 0; text-align: left; }
.tab { padding: 6px 4px !important; line-height: 1.2 !important; min-height: 0 !important; }
.dash-graph .js-plotly-plot { cursor: pointer; }
.dash-options-list-option { padding: 2px 4px; }
.dash-slider-container, .dash-slider-root { padding-top: 2px; }
.right { margin-left: auto; } .said { font-weight: 600; }
.row .row { margin: 0; }
.sr { position: absolute; left: -9999px; }
"""

INDEX = (
    """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" href="data:,">
{%css%}
<style>"""
    + CSS
    + """</style>
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""
)
