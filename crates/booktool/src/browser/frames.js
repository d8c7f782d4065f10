// What a reader sees of the figure to which a slider of the page belongs, after it got the focus; nothing on a page
// without it. Argument: its index.
const input = document.querySelectorAll('figure.frames input')[arguments[0]];
if (!input) return {};
if (document.activeElement !== input) input.focus();
const figure = input.closest('figure');
return {
  steps: Number(input.max),
  value: input.parentElement.querySelector('output').textContent,
  spoken: input.getAttribute('aria-valuetext'),
  is_named: input.checkVisibility() && input.labels[0]?.textContent.trim().length > 0,
  picture: [...figure.querySelectorAll('[data-gap]')].map(gap => gap.innerHTML).join('|'),
};
