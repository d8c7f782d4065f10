// Searches for a word as a reader does; returns the pages of the results. Argument: the word.
return (async word => {
  document.getElementById('mdbook-search-toggle').click();
  const bar = document.getElementById('mdbook-searchbar');
  bar.value = word;
  bar.dispatchEvent(new Event('input', { bubbles: true }));
  bar.dispatchEvent(new KeyboardEvent('keyup', { bubbles: true }));
  // The index is loaded at the first search.
  for (let i = 0; i < 100; i++) {
    await new Promise(wake => setTimeout(wake, 50));
    const links = [...document.querySelectorAll('#mdbook-searchresults li a')];
    if (links.length) return links.map(a => new URL(a.href).pathname.slice(1));
  }
  return [];
})(...arguments);
