// "Draw a digit": LeNet in the page. The weights are the crate's own file, a copy of which stands in the page; what
// is computed here is checked against the crate's output by the browser test. Nothing is fetched.
(() => {
  'use strict';

  const tool = document.querySelector('.drawing');
  if (!tool) return;
  const FRAME = 28;

  // --- the network ---

  const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));

  // A safetensors file: length of the header, header, numbers. A weight is a whole number times the scale of its output.
  const file = bytes(tool.dataset.network);
  const start = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start)));
  const numbers = (name, kind) => {
    const [from, to] = header[name].data_offsets;
    return new kind(file.slice(start + from, start + to).buffer);
  };
  const layer = name => {
    const levels = numbers(`${name}.weight`, Int8Array);
    const scale = numbers(`${name}.weight.scale`, Float32Array);
    const inputs = levels.length / scale.length;
    const weight = Float64Array.from(levels, (q, i) => Math.fround(q * scale[Math.floor(i / inputs)]));
    return { weight, bias: numbers(`${name}.bias`, Float32Array), inputs };
  };
  const [first, second] = ['0.0', '1.0'].map(layer);
  const dense = ['2.1', '2.2', '2.3'].map(layer);

  // Maps are { count, side, values }, one map after the other, row by row.
  const convolve = ({ count, side, values }, { weight, bias }, padding) => {
    const size = side + 2 * padding - 4;
    const out = new Float64Array(bias.length * size * size);
    for (let o = 0, at = 0; o < bias.length; o++) {
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++, at++) {
          let sum = bias[o];
          for (let c = 0; c < count; c++) {
            for (let u = 0; u < 5; u++) {
              const row = i + u - padding;
              if (row < 0 || row >= side) continue;
              for (let v = 0; v < 5; v++) {
                const column = j + v - padding;
                if (column < 0 || column >= side) continue;
                sum += weight[((o * count + c) * 5 + u) * 5 + v] * values[(c * side + row) * side + column];
              }
            }
          }
          out[at] = Math.max(sum, 0);
        }
      }
    }
    return { count: bias.length, side: size, values: out };
  };
  const pool = ({ count, side, values }) => {
    const half = side / 2;
    const out = Float64Array.from({ length: count * half * half }, (_, at) => {
      const [c, i, j] = [Math.floor(at / half / half), Math.floor(at / half) % half, at % half];
      const corner = (c * side + 2 * i) * side + 2 * j;
      return Math.max(values[corner], values[corner + 1], values[corner + side], values[corner + side + 1]);
    });
    return { count, side: half, values: out };
  };
  const connect = (x, { weight, bias, inputs }, isLast) => Float64Array.from(bias, (sum, o) => {
    for (let i = 0; i < inputs; i++) sum += weight[o * inputs + i] * x[i];
    return isLast ? sum : Math.max(sum, 0);
  });
  // Of 784 numbers in [0, 1]: the maps of both convolutions and ten logits.
  const run = pixels => {
    const maps = [convolve({ count: 1, side: FRAME, values: pixels }, first, 2)];
    maps.push(convolve(pool(maps[0]), second, 0));
    const logits = dense.reduce((x, part, i) => connect(x, part, i === 2), pool(maps[1]).values);
    return { maps, logits: [...logits] };
  };
  const probabilities = logits => {
    const largest = Math.max(...logits);
    const shares = logits.map(logit => Math.exp(logit - largest));
    const sum = shares.reduce((a, b) => a + b);
    return shares.map(share => share / sum);
  };

  // --- MNIST's frame: `Picture::fit` of the crate, line by line ---

  const fit = (levels, width) => {
    const height = levels.length / width;
    const [low, high] = levels.reduce(([low, high], l) => [Math.min(low, l), Math.max(high, l)], [255, 0]);
    if (low >= high) return null;
    const ink = Float64Array.from(levels, level => {
      const value = (level - low) / (high - low);
      return value < 0.125 ? 0 : value;
    });
    let [left, right, top, bottom, mass, xMean, yMean] = [width, 0, height, 0, 0, 0, 0];
    ink.forEach((value, i) => {
      if (value === 0) return;
      const [x, y] = [i % width, Math.floor(i / width)];
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), Math.max(bottom, y + 1)];
      mass += value;
      xMean += value * (x + 0.5);
      yMean += value * (y + 0.5);
    });
    const scale = 20 / Math.max(right - left, bottom - top);
    const spread = (origin, x, give) => {
      const from = Math.max(origin + scale * x, 0);
      const to = Math.min(origin + scale * (x + 1), FRAME);
      for (let cell = Math.floor(from); cell < Math.min(Math.ceil(to), FRAME); cell++) {
        const share = Math.min(to, cell + 1) - Math.max(from, cell);
        if (share > 0) give(cell, share);
      }
    };
    const [columns, rows] = [xMean, yMean].map(mean => FRAME / 2 - scale * mean / mass);
    const narrow = new Float64Array(height * FRAME);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        spread(columns, x, (j, share) => { narrow[y * FRAME + j] += share * ink[y * width + x]; });
      }
    }
    const frame = new Float64Array(FRAME * FRAME);
    for (let y = top; y < bottom; y++) {
      spread(rows, y, (i, share) => {
        for (let j = 0; j < FRAME; j++) frame[i * FRAME + j] += share * narrow[y * FRAME + j];
      });
    }
    return frame.map(value => Math.fround(Math.min(value, 1)));
  };
  // For the browser test.
  tool.network = { logits: pixels => run(pixels).logits, fit };

  // --- the page ---

  const element = (name, properties = {}, children = []) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const SIDE = 280; // units of the pad, whatever its size on the screen
  const STEP = 14; // of the keys
  const pad = element('canvas', { width: SIDE, height: SIDE, className: 'pad', tabIndex: 0 });
  pad.setAttribute('role', 'application');
  pad.setAttribute('aria-label', 'Pad to draw a digit on. Arrow keys move the pen, Space lowers and lifts it, Escape clears the pad.');
  const seen = element('canvas', { width: FRAME, height: FRAME, className: 'seen' });
  const answer = element('p', { className: 'answer' });
  answer.setAttribute('aria-live', 'polite');
  const bars = Array.from({ length: 10 }, (_, digit) => {
    const [bar, share] = [element('i'), element('span', { className: 'share' })];
    const row = element('div', {}, [element('b', { textContent: digit }), element('span', { className: 'track' }, [bar]), share]);
    return { row, bar, share };
  });
  // Maps in a row: fewer on a telephone.
  const columns = matchMedia('(max-width: 600px)').matches ? [3, 4] : [6, 8];
  const planes = [[6, 28], [16, 10]].map(([count, side], i) => {
    const [width, height] = [columns[i], count / columns[i]].map(tiles => tiles * (side + 1) - 1);
    const plane = element('canvas', { width, height, className: 'plane' });
    plane.setAttribute('role', 'img');
    return plane;
  });
  seen.setAttribute('role', 'img');
  seen.setAttribute('aria-label', 'The drawing in a frame of 28 by 28 pixels');
  planes[0].setAttribute('aria-label', 'Six maps of the first convolution, 28 by 28');
  planes[1].setAttribute('aria-label', 'Sixteen maps of the second convolution, 10 by 10');

  // Ink on paper: 0 is white, `high` is black.
  const paint = (canvas, x, y, side, values, high) => {
    const image = new ImageData(side, side);
    values.forEach((value, i) => {
      image.data.fill(Math.round(255 * (1 - Math.min(value / (high || 1), 1))), 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    });
    canvas.getContext('2d').putImageData(image, x, y);
  };

  const ground = new Float64Array(FRAME * FRAME);
  let strokes = []; // lists of points
  let sample = null; // levels of a chosen digit
  let pen = [SIDE / 2, SIDE / 2]; // of the keys
  let isDown = false;

  const trace = (context, width) => {
    Object.assign(context, { lineCap: 'round', lineJoin: 'round', lineWidth: width, strokeStyle: '#000' });
    for (const stroke of strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (const point of stroke) context.lineTo(...point);
      context.stroke();
    }
  };
  const showPad = () => {
    const context = pad.getContext('2d');
    context.clearRect(0, 0, SIDE, SIDE);
    if (sample) {
      context.imageSmoothingEnabled = false;
      const small = element('canvas', { width: FRAME, height: FRAME });
      paint(small, 0, 0, FRAME, sample, 255);
      context.drawImage(small, 0, 0, SIDE, SIDE);
    }
    trace(context, 20);
    if (pad.matches(':focus-visible')) {
      context.beginPath();
      context.arc(...pen, 10, 0, 2 * Math.PI);
      Object.assign(context, { lineWidth: 3, strokeStyle: '#d55e00', fillStyle: '#d55e00' });
      context.stroke();
      if (isDown) context.fill();
    }
  };
  // The drawing as the network gets it. The pen is an eighth as wide as the digit is long, as it is in MNIST.
  const pixels = () => {
    if (sample) return Float64Array.from(sample, level => Math.fround(level / 255));
    if (!strokes.length) return null;
    const points = strokes.flat();
    const extent = axis => Math.max(...points.map(p => p[axis])) - Math.min(...points.map(p => p[axis]));
    const width = Math.max(extent(0), extent(1), 40) / 8;
    const sheet = element('canvas', { width: SIDE, height: SIDE }).getContext('2d', { willReadFrequently: true });
    trace(sheet, width);
    return fit(sheet.getImageData(0, 0, SIDE, SIDE).data.filter((_, i) => i % 4 === 3), SIDE);
  };
  // Softmax is never certain: what rounds to 100 % says that it is less.
  const percent = share => share < 0.995 ? `${Math.round(100 * share)} %` : '> 99 %';
  const show = () => {
    showPad();
    const input = pixels();
    const { maps, logits } = run(input ?? ground);
    const shares = input ? probabilities(logits) : logits.map(() => 0);
    const best = shares.indexOf(Math.max(...shares));
    bars.forEach(({ row, bar, share }, digit) => {
      row.className = input && digit === best ? 'best' : '';
      bar.style.width = `${100 * shares[digit]}%`;
      share.textContent = input ? percent(shares[digit]) : '';
    });
    answer.textContent = input
      ? `The network reads ${best}, with a probability of ${percent(shares[best])}.`
      : 'Draw a digit on the pad, or choose one below.';
    paint(seen, 0, 0, FRAME, input ?? ground, 1);
    maps.forEach(({ count, side, values }, i) => {
      const high = Math.max(...values);
      for (let c = 0; c < count; c++) {
        const [x, y] = [(c % columns[i]) * (side + 1), Math.floor(c / columns[i]) * (side + 1)];
        const map = values.subarray(c * side * side, (c + 1) * side * side);
        paint(planes[i], x, y, side, input ? map : map.map(() => 0), high);
      }
    });
  };
  let isWaiting = false;
  const update = () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      show();
    });
  };
  const clear = () => {
    [strokes, sample, isDown, pen] = [[], null, false, [SIDE / 2, SIDE / 2]];
    update();
  };

  // Mouse, finger, stylus.
  const place = event => {
    const box = pad.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * SIDE, (event.clientY - box.top) / box.height * SIDE];
  };
  let pointer = null;
  pad.addEventListener('pointerdown', event => {
    if (event.button !== 0 || pointer !== null) return;
    pointer = event.pointerId;
    if (event.isTrusted) pad.setPointerCapture(pointer);
    if (sample) clear();
    isDown = false;
    strokes.push([place(event)]);
    update();
  });
  pad.addEventListener('pointermove', event => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(events.length ? events : [event]).map(place));
    update();
  });
  for (const end of ['pointerup', 'pointercancel']) {
    pad.addEventListener(end, event => {
      if (event.pointerId === pointer) pointer = null;
    });
  }

  // Keys. The arrows belong to the pad while it has the focus; the book would turn its page.
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  pad.addEventListener('keydown', event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const move = MOVES[event.key];
    if (move) {
      pen = pen.map((at, axis) => Math.min(Math.max(at + STEP * move[axis], STEP), SIDE - STEP));
      if (isDown) strokes.at(-1).push(pen);
    } else if (event.key === ' ') {
      if (sample) clear();
      isDown = !isDown;
      if (isDown) strokes.push([pen]);
    } else if (event.key === 'Escape') {
      clear();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    update();
  });
  for (const change of ['focus', 'blur']) pad.addEventListener(change, update);

  // Ten digits that nobody needs to draw.
  const digits = bytes(tool.dataset.digits);
  const samples = Array.from({ length: 10 }, (_, digit) => {
    const levels = digits.subarray(digit * FRAME * FRAME, (digit + 1) * FRAME * FRAME);
    const picture = element('canvas', { width: FRAME, height: FRAME });
    paint(picture, 0, 0, FRAME, levels, 255);
    const button = element('button', { type: 'button' }, [picture]);
    button.setAttribute('aria-label', `Sample of the digit ${digit}`);
    button.addEventListener('click', () => {
      clear();
      sample = levels;
    });
    return button;
  });
  const wipe = element('button', { type: 'button', textContent: 'Clear', className: 'clear' });
  wipe.addEventListener('click', clear);

  const labelled = (text, ...parts) => element('div', {}, [element('p', { className: 'label', textContent: text }), ...parts]);
  tool.replaceChildren(
    element('div', { className: 'desk' }, [
      element('div', { className: 'paper' }, [pad, wipe]),
      element('div', { className: 'reading-of-it' }, [answer, element('div', { className: 'bars' }, bars.map(({ row }) => row))]),
    ]),
    labelled('Samples from the test images', element('div', { className: 'samples' }, samples)),
    element('div', { className: 'inside' }, [
      labelled('28 × 28', seen),
      labelled('First convolution: 6 maps of 28 × 28', planes[0]),
      labelled('Second convolution: 16 maps of 10 × 10', planes[1]),
    ]),
  );
  bars[0].row.parentElement.setAttribute('aria-hidden', 'true'); // the answer says it
  tool.hidden = false;
  show();
})();
