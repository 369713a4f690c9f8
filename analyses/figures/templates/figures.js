// Draws each figure when it comes near the window, and all of them before the page is printed.
(async () => {
  const packed = document.getElementById("plotly-code");
  if (packed) {
    const bytes = Uint8Array.from(atob(packed.textContent), c => c.charCodeAt(0));
    const code = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(code).text();
    document.head.append(script);
  }
  const figures = [...document.querySelectorAll(".figure")], left = new Set(figures);
  const draw = div => {
    if (!left.delete(div)) return;
    const {figure, config} = JSON.parse(div.querySelector("script").textContent);
    Plotly.newPlot(div, figure.data, figure.layout, config)
      .then(() => figure.frames && Plotly.addFrames(div, figure.frames));
  };
  const near = new IntersectionObserver(
    seen => seen.filter(one => one.isIntersecting).forEach(one => draw(one.target)),
    {rootMargin: "400px"});
  figures.forEach(div => near.observe(div));
  const wide = layout => figures
    .filter(div => div.layout && !div.style.width).forEach(div => Plotly.relayout(div, layout));
  addEventListener("beforeprint", () => {
    figures.filter(div => div.checkVisibility()).forEach(draw);
    wide({width: 680, autosize: false});  // of A4 between its margins [px]
  });
  addEventListener("afterprint", () => wide({width: null, autosize: true}));
})();
