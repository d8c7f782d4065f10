// Draws as a reader does; returns the faults. Arguments: a hundred digits in base64, the crate's logits of them, and its
// logits of the same digits put into the frame anew.
return (async (digits, logits, fitted) => {
  const faults = [];
  const tool = document.querySelector('.drawing');
  if (!tool?.checkVisibility()) return ['it is not shown'];
  const levels = Uint8Array.from(atob(digits), character => character.charCodeAt(0));
  const { network } = tool;

  // The same numbers as the crate's, to 1e-4.
  const worst = (got, want) => Math.max(...want.map((value, k) => Math.abs(value - got[k])));
  if (logits.length !== 100 || levels.length !== 78400) faults.push(`${logits.length} digits to compare, not 100`);
  for (const [name, wants, input] of [
    ['logits', logits, digit => Float64Array.from(digit, level => Math.fround(level / 255))],
    ['logits in the frame', fitted, digit => network.fit(digit, 28)],
  ]) {
    let [largest, at] = [0, 0];
    wants.forEach((want, i) => {
      const error = worst(network.logits(input(levels.subarray(784 * i, 784 * (i + 1)))), want);
      if (!(error <= largest)) [largest, at] = [error, i];
    });
    if (!(largest <= 1e-4)) faults.push(`${name} of digit ${at} differ from the crate's by ${largest}`);
  }
  if (network.fit(new Uint8Array(784), 28) !== null) faults.push('an empty pad has a digit');

  const frame = () => new Promise(wake => requestAnimationFrame(() => requestAnimationFrame(wake)));
  const answer = () => tool.querySelector('.answer').textContent;
  const reads = async (what, digit) => {
    await frame();
    const has = answer().includes(`reads ${digit},`);
    if (!has) faults.push(`${what}: not ${digit}, but “${answer()}”`);
    const best = tool.querySelector('.best b')?.textContent;
    if (has && best !== String(digit)) faults.push(`${what}: the bar of ${best} is the best`);
  };
  const pad = tool.querySelector('.pad');
  const isBlank = canvas => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return !data.some((value, i) => value < 255 && data[i | 3] > 0);
  };
  const canvases = [...tool.querySelectorAll('.seen, .plane')];
  if (canvases.length !== 3) faults.push(`${canvases.length} pictures of the inside, not 3`);

  // Samples.
  const buttons = [...tool.querySelectorAll('.samples button')];
  if (buttons.length !== 10) faults.push(`${buttons.length} samples, not 10`);
  for (const [digit, button] of buttons.entries()) {
    button.click();
    await reads(`sample ${digit}`, digit);
  }
  if (canvases.some(isBlank)) faults.push('a picture of the inside stays blank');
  const clear = tool.querySelector('.clear');
  clear.click();
  await frame();
  if (!canvases.every(isBlank) || tool.querySelector('.best')) faults.push('Clear leaves something');

  // Mouse, finger or pen: a stroke from top to bottom is a one.
  const box = pad.getBoundingClientRect();
  const point = (kind, x, y) => pad.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, pointerId: 1, button: 0, clientX: box.left + x * box.width, clientY: box.top + y * box.height,
  }));
  point('pointerdown', 0.5, 0.2);
  for (let i = 1; i <= 12; i++) point('pointermove', 0.5, 0.2 + 0.05 * i);
  point('pointerup', 0.5, 0.8);
  point('pointermove', 0.9, 0.8);
  await reads('a stroke', 1);
  clear.click();

  // Keys: a bar, then down to the left: a seven.
  pad.focus();
  const address = location.href;
  const keys = [...Array(4).fill('ArrowLeft'), ...Array(7).fill('ArrowUp'), ' ', ...Array(8).fill('ArrowRight'),
    ...Array(6).fill(['ArrowDown', 'ArrowDown', 'ArrowLeft']).flat(), ' '];
  for (const key of keys) pad.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  await reads('keys', 7);
  pad.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
  await frame();
  if (tool.querySelector('.best')) faults.push('Escape leaves something');
  if (location.href !== address) faults.push('the arrow keys turn the page while the pad has the focus');
  return faults;
})(...arguments);
