// Faults of the page as it is shown now, one string each. Argument: the theme that it should have.
return (async theme => {
  await document.fonts.ready;
  const faults = [];
  const main = document.querySelector('main');
  if (!main) return ['the page has no <main>'];
  const words = text => text.replace(/\s+/g, ' ').trim().slice(0, 50);
  const say = (rule, element) => faults.push(`${rule}: <${element.localName}> ${words(element.textContent)}`);

  // What is folded is looked at too.
  for (const e of main.querySelectorAll('details')) e.open = true;

  if (!document.documentElement.classList.contains(theme)) faults.push(`the theme is not ${theme}`);

  // Overflow. The walk ends at <main>: what is around it may scroll the whole page, which is what nobody wants.
  const width = document.documentElement.clientWidth;
  const scrolls = element => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(element).overflowX);
  const isInScroller = element => {
    for (let e = element.parentElement; e && e !== main; e = e.parentElement) if (scrolls(e)) return true;
    return false;
  };
  const wide = [...main.querySelectorAll('*')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.right > width + 1 && !isInScroller(e);
  });
  for (const e of wide.slice(0, 3)) say(`wider than the view (${Math.round(e.getBoundingClientRect().right)} px)`, e);
  const page = document.documentElement.scrollWidth;
  if (page > width) faults.push(`the page scrolls sideways: ${page} px in a view of ${width} px`);

  // On a laptop nothing needs a sideways movement: listings, equations and tables fit into the column.
  if (width >= 1200) {
    for (const e of main.querySelectorAll('pre > code, .equation, .table-wrapper, figure, .stage')) {
      if (e.checkVisibility() && e.scrollWidth > e.clientWidth + 1) {
        say(`cut off at its right (${e.scrollWidth} px in a column of ${e.clientWidth} px)`, e);
      }
    }
  }

  // A line does not begin with the full stop of a formula.
  for (const e of main.querySelectorAll('p math, li math, td math')) {
    const next = e.nextSibling;
    if (next?.nodeType !== Node.TEXT_NODE || !/^[.,;:!?)\]]/.test(next.data)) continue;
    const range = new Range();
    range.setStart(next, 0);
    range.setEnd(next, 1);
    const [mark, formula] = [range.getBoundingClientRect(), e.getBoundingClientRect()];
    if (mark.width > 0 && mark.left < formula.right - 1) {
      say('a line begins with the punctuation after a formula', e.parentElement);
    }
  }

  // Formulas, images, figures.
  for (const e of main.querySelectorAll('merror')) say('a formula with an error', e);
  for (const e of main.querySelectorAll('img')) {
    const name = e.getAttribute('src');
    if (!e.complete || e.naturalWidth === 0) faults.push(`image not loaded: ${name}`);
    if (!e.alt.trim()) faults.push(`image without alternative text: ${name}`);
  }
  for (const e of main.querySelectorAll('figure svg')) {
    if (e.getAttribute('role') !== 'img') say('figure without role="img"', e);
    if (!e.querySelector(':scope > title')?.textContent.trim()) say('figure without title', e);
    if (e.checkVisibility() && e.getBoundingClientRect().height < 20) say('figure without height', e);
  }

  // Every request stays on the server that serves the book.
  for (const { name } of performance.getEntriesByType('resource')) {
    const url = new URL(name);
    if (url.protocol !== 'data:' && url.origin !== location.origin) faults.push(`asks another host: ${name}`);
  }

  // Contrast (WCAG 2.2, 1.4.3 and 1.4.11). A canvas turns any colour of CSS into numbers.
  const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    .getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const colour = text => {
    if (!known.has(text)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = text;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => a * c + (1 - a) * under[i]);
  const luminance = rgb => rgb
    .map(c => c / 255)
    .map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  // Of an element and all around it: how opaque it is, and the colour behind it, on white.
  const once = f => {
    const known = new Map();
    return e => known.get(e) ?? known.set(e, f(e)).get(e);
  };
  const opacity = once(e => (e ? opacity(e.parentElement) * getComputedStyle(e).opacity : 1));
  const ground = once(e => {
    return e ? over(colour(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : [255, 255, 255];
  });
  // In a drawing, also the boxes and discs that were drawn before and lie around the middle of the text.
  const groundInDrawing = (text, svg) => {
    const box = text.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    return [...svg.querySelectorAll('rect, circle')]
      .filter(e => e.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)
      .filter(e => {
        const b = e.getBoundingClientRect();
        return !e.closest('clipPath, defs') && b.left <= x && x <= b.right && b.top <= y && y <= b.bottom;
      })
      .map(e => getComputedStyle(e))
      .filter(style => style.fill !== 'none')
      .reduce((under, style) => {
        const [r, g, b, a] = colour(style.fill);
        return over([r, g, b, a * style.fillOpacity * style.opacity], under);
      }, ground(svg));
  };
  const seen = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility({ visibilityProperty: true })) continue;
    if (['title', 'desc', 'style', 'script', 'annotation'].includes(e.localName)) continue;
    const svg = e.closest('svg');
    const style = getComputedStyle(e);
    const [r, g, b, alpha] = colour(svg ? style.fill : style.color);
    const a = alpha * opacity(e) * (svg ? style.fillOpacity : 1);
    const under = svg ? groundInDrawing(e, svg) : ground(e);
    const size = parseFloat(style.fontSize);
    const need = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const have = ratio(over([r, g, b, a], under), under);
    const key = `${[r, g, b, a]} ${under} ${need}`;
    if (have < need && !seen.has(key)) say(`contrast of text ${have.toFixed(2)} < ${need}`, e);
    seen.add(key);
  }
  const probe = main.appendChild(document.createElement('i'));
  for (const name of ['--c1', '--c2', '--c3', '--c4']) {
    probe.style.color = `var(${name}, transparent)`;
    const under = ground(main);
    const have = ratio(over(colour(getComputedStyle(probe).color), under), under);
    if (have < 3) faults.push(`contrast of series colour ${name} ${have.toFixed(2)} < 3`);
  }
  probe.remove();

  // Every character of a formula is in the mathematical font. Where it is not, a fallback draws it: the same picture
  // as without the font.
  const font = [...document.fonts].find(f => f.family.includes('Pagella Math'));
  const formulas = [...main.querySelectorAll('math')];
  if (formulas.length && font?.status !== 'loaded') faults.push('the mathematical font is not loaded');
  if (formulas.length && font) {
    const sheet = Object.assign(document.createElement('canvas'), { width: 48, height: 48 })
      .getContext('2d', { willReadFrequently: true });
    const picture = (character, family) => {
      sheet.clearRect(0, 0, 48, 48);
      sheet.font = `24px ${family}`;
      sheet.fillText(character, 8, 34);
      return sheet.getImageData(0, 0, 48, 48).data.join();
    };
    const empty = picture(' ', 'serif');
    // White space and the invisible operators U+2061 to U+2064 have no picture.
    const used = new Set(formulas.flatMap(f => [...f.textContent.replace(/[\s\u2061-\u2064\u200b]/gu, '')]));
    for (const character of used) {
      const ours = picture(character, '"Pagella Math", serif');
      if (ours === picture(character, 'serif') || ours === empty) {
        const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
        faults.push(`the mathematical font lacks U+${code} ${character}`);
      }
    }
  }
  return faults;
})(...arguments);
