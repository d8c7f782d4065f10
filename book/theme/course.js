// Interactive figures. The page shows one frame of each; the others wait in the <defs> of its drawing. A figure's
// sliders are shown here, and exchange what the frames do not share. Nothing moves by itself.
(() => {
  'use strict';

  const start = figure => {
    const controls = figure.querySelector('.sliders');
    const inputs = [...controls.querySelectorAll('input')];
    const reading = figure.querySelector('.reading');
    const notes = JSON.parse(reading.dataset.notes);
    const values = new Map(inputs.map(input => [input, JSON.parse(input.dataset.values)]));
    // The last slider moves fastest.
    const position = () => inputs.reduce((at, input) => at * values.get(input).length + input.valueAsNumber, 0);

    // Of each frame: the nodes of each gap in the drawing.
    const gaps = [...figure.querySelectorAll('[data-gap]')];
    const contents = new Map([[position(), gaps.map(gap => [...gap.childNodes])]]);
    for (const frame of figure.querySelectorAll('defs > [data-frame]')) {
      contents.set(Number(frame.dataset.frame), [...frame.children].map(group => [...group.childNodes]));
      frame.remove();
    }

    const show = () => {
      const words = inputs.map(input => values.get(input)[input.valueAsNumber]);
      inputs.forEach((input, i) => {
        input.setAttribute('aria-valuetext', words[i]);
        input.nextElementSibling.textContent = words[i];
      });
      contents.get(position()).forEach((nodes, i) => gaps[i].replaceChildren(...nodes));
      const names = inputs.map((input, i) => `${input.previousElementSibling.textContent} = ${words[i]}`);
      reading.querySelector('.setting').textContent = `${names.join(', ')}. `;
      reading.querySelector('.note').textContent = notes[position()] ?? '';
    };
    for (const input of inputs) input.addEventListener('input', show);
    controls.hidden = false;
  };

  document.querySelectorAll('figure.frames').forEach(start);
})();
