// What is wrong with the page as drawn: text without contrast, and content wider than the window.
(() => {
  const channels = text => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const luminance = colour => {
    const [red, green, blue] = colour.map(value => {
      const share = value / 255;
      return share <= .03928 ? share / 12.92 : ((share + .055) / 1.055) ** 2.4;
    });
    return .2126 * red + .7152 * green + .0722 * blue;
  };
  const background = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > .5) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const pale = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const element = text.parentElement;
    if (!text.textContent.trim() || !element.checkVisibility()) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const levels = [luminance(channels(style.color).slice(0, 3)), luminance(background(element))];
    const contrast = (Math.max(...levels) + .05) / (Math.min(...levels) + .05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
    if (contrast < (large ? 3 : 4.5)) {
      const words = text.textContent.trim().slice(0, 30);
      pale.add(`${contrast.toFixed(2)} ${element.tagName}.${element.className} ${words}`);
    }
  }
  const root = document.documentElement;
  const wide = [];
  if (root.scrollWidth > root.clientWidth) {
    for (const element of document.querySelectorAll('.v.show *, header *')) {
      const right = Math.round(element.getBoundingClientRect().right);
      if (right > root.clientWidth + 1 && !element.closest('.sx, nav')) {
        wide.push(`${element.tagName}.${element.className} ${right} of ${root.clientWidth}`);
      }
    }
    if (!wide.length) wide.push(`page ${root.scrollWidth} of ${root.clientWidth}`);
  }
  const cut = [];
  for (const cell of document.querySelectorAll('.v.show .mx .cell, .v.show .log .n')) {
    if (cell.checkVisibility() && cell.scrollWidth > cell.clientWidth + 1) {
      cut.push(`${cell.textContent} ${cell.scrollWidth} of ${cell.clientWidth}`);
    }
  }
  const views = document.querySelectorAll('.v.show').length;
  return { texts, views, pale: [...pale], wide: wide.slice(0, 8), cut: cut.slice(0, 8) };
})()
