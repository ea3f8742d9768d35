// Everything readable is in the HTML. This shows one view at a time, filters rows and copies.
(() => {
  'use strict';
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Colour theme: the system's, unless the reader says otherwise.
  const modes = ['auto', 'light', 'dark'];
  const themeButton = $('#theme');
  let mode = 'auto';
  // Reading storage throws where a browser forbids it for files.
  try { mode = modes.includes(localStorage.theme) ? localStorage.theme : 'auto'; } catch { }
  const showTheme = () => {
    if (mode === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = mode;
    themeButton.textContent = mode;
    themeButton.setAttribute('aria-label', 'Colour theme: ' + mode);
  };
  themeButton.onclick = () => {
    mode = modes[(modes.indexOf(mode) + 1) % modes.length];
    try { localStorage.theme = mode; } catch { }
    showTheme();
  };
  showTheme();

  // Filters of the matrix, kept in the address: #overview?show=exceptions&area=ISR&q=words
  const rows = $$('.mx tr[data-clause]').map(row => ({
    row,
    area: row.closest('tbody').dataset.area,
    flags: row.dataset.flags.split(' '),
    text: (row.dataset.clause + ' ' + $('.t', row).textContent).toLowerCase(),
  }));
  const buttons = $$('.filters [data-show]');
  const filter = { show: '', area: '', q: '' };
  function apply() {
    const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, area, flags, text } of rows) {
      const keep = (!filter.show || flags.includes(filter.show))
        && (!filter.area || area === filter.area) && words.every(word => text.includes(word));
      row.hidden = !keep;
      shown += keep;
    }
    for (const body of $$('.mx tbody')) body.hidden = !$('tr[data-clause]:not([hidden])', body);
    for (const button of buttons) {
      button.setAttribute('aria-pressed', button.dataset.show === filter.show);
    }
    $('#area').value = filter.area;
    if ($('#text').value !== filter.q) $('#text').value = filter.q;
    $('#shown').textContent = shown + ' of ' + rows.length + ' clauses';
  }
  function change(part) {
    Object.assign(filter, part);
    apply();
    const set = Object.entries(filter).filter(([, value]) => value);
    const query = new URLSearchParams(set).toString();
    history.replaceState(null, '', '#overview' + (query ? '?' + query : ''));
  }
  for (const button of buttons) button.onclick = () => change({ show: button.dataset.show });
  $('#area').onchange = event => change({ area: event.target.value });
  $('#text').oninput = event => change({ q: event.target.value });
  $('.filters').onsubmit = event => event.preventDefault();

  // One view at a time. An address names a view, or something inside one.
  function decoded(text) {
    try { return decodeURIComponent(text); } catch { return text; }
  }
  function route(first) {
    const [path, query] = location.hash.slice(1).split('?');
    const place = decoded(path);
    // `@` and a number at the end is a step of the story there, see player.js.
    const named = document.getElementById(place) || document.getElementById(place.replace(/@\d+$/, ''));
    const aim = named ? named.closest('.play') || named : $('#overview');
    for (let box = aim.closest('details'); box; box = box.parentElement.closest('details')) {
      box.open = true;
    }
    const view = aim.closest('.v') || $('#overview');
    for (const other of $$('.v.show')) other.classList.remove('show');
    view.classList.add('show');
    for (const link of $$('.top nav a')) {
      const here = view.matches('.clause, .case') ? 'overview' : view.id;
      if (link.hash === '#' + here) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    const heading = $('h1', view);
    document.title = heading.textContent.trim().replace(/\s+/g, ' ') + ' · Highwater report';
    if (view.id === 'overview') {
      const asked = new URLSearchParams(query || '');
      const has = (list, value) => list.some(item => item === value) ? value : '';
      filter.show = has(buttons.map(button => button.dataset.show), asked.get('show'));
      filter.area = has($$('#area option').map(option => option.value), asked.get('area'));
      filter.q = asked.get('q') || '';
      apply();
    }
    if (!first) heading.tabIndex = -1, heading.focus({ preventScroll: true });
    if (view.id === 'overview' && query) $('#matrix').scrollIntoView();
    else if (aim !== view) aim.scrollIntoView();
    else scrollTo(0, 0);
  }
  addEventListener('hashchange', () => route(false));
  route(true);

  $('.skip').onclick = event => {
    event.preventDefault();
    $('.v.show h1').focus();
  };
  document.addEventListener('keydown', event => {
    const typing = event.target.closest('input, select, textarea');
    if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!$('#overview').classList.contains('show')) location.hash = 'overview';
    // The view changes with the event that follows.
    setTimeout(() => $('#text').focus(), 50);
  });

  // Copying: browsers refuse the clipboard to some local files, then the text is selected.
  for (const text of $$('.copied')) {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', className: 'copy', textContent: 'copy' });
    text.after(button);
  }
  document.addEventListener('click', async event => {
    const button = event.target.closest('.copy');
    if (!button) return;
    const text = button.previousElementSibling;
    let said = '✓ copied';
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      getSelection().selectAllChildren(text);
      said = 'Ctrl+C';
    }
    button.textContent = said;
    setTimeout(() => { button.textContent = 'copy'; }, 2500);
  });
})();
