// Steps through the states of a story. Names, notes and times are read from the page.
(() => {
  'use strict';
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const source = $('#stories');
  if (!source) return;
  const STORIES = JSON.parse(source.textContent);
  const NAMES = {
    w: 'active', c: 'controller epoch', a: 'leader', e: 'epoch', i: 'ISR', j: 'ELR',
    u: 'process', r: 'role', h: 'HW', b: 'log start', l: 'log', o: '/controller', n: '/brokers/ids',
  };
  const ROW = 26, CELL = 46, EARLIER = 78;
  const element = (name, text = '', kind = '') => {
    const made = document.createElement(name);
    if (text !== '') made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const say = value => Array.isArray(value) ? '{' + value.join(', ') + '}' : value ?? '?';
  const fill = epoch => 'e' + (epoch & 7);
  const ends = entry => entry[0] + entry[2];

  // The states are the sums of the changes; a log's is [dropped at its head, kept, ...new entries].
  function statesOf(story) {
    let state = {};
    return story.s.map(changes => {
      state = { ...state };
      for (const [lane, told] of Object.entries(changes)) {
        const before = state[lane] || {};
        state[lane] = { ...before, ...told };
        if (told.l) {
          const [dropped, kept, ...added] = told.l;
          state[lane].l = (before.l || []).slice(dropped, dropped + kept).concat(added);
        }
      }
      return state;
    });
  }

  function head(name, held, changes) {
    const header = element('header');
    header.append(element('b', name));
    if (changes && Object.keys(changes).length) {
      const words = Object.keys(changes).map(key => NAMES[key]).join(', ');
      header.append(element('span', 'changed: ' + words, 'changed'));
    }
    return header;
  }
  const badge = (header, text, kind = '') => {
    header.insertBefore(element('span', text, 'badge ' + kind), $('.changed', header));
  };

  function cell(entry, high) {
    const [base, epoch, count, text] = entry;
    const made = element('span', 'e' + epoch, 'record ' + fill(epoch));
    if (high != null && ends(entry) > high) made.classList.add('above');
    made.dataset.offset = count > 1 ? base + '–' + (base + count - 1) : base;
    made.append(element('b', text || (count > 1 ? '×' + count : '·')));
    return made;
  }

  function mark(left, text, kind, width) {
    const made = element('span', '', 'mark ' + kind + (left > width - 96 ? ' leftwards' : ''));
    made.style.left = left + 'px';
    made.append(element('span', text));
    return made;
  }

  // The log's last cells, what is committed and not among them, and where its marks are.
  function cells(held, committed, width) {
    if (held.l == null) return element('div', 'log not observed: nothing has shown it', 'unseen');
    const row = element('div', '', 'cells' + (held.u === false ? ' down' : ''));
    const has = entry => held.l.some(own => own[0] === entry[0] && own[1] === entry[1]);
    const start = held.l.length ? held.l[0][0] : 0;
    const gone = committed.filter(entry => entry[0] >= start && !has(entry)).slice(0, 3);
    const room = Math.max(3, Math.floor((width - EARLIER) / CELL)) - gone.length;
    const from = Math.max(0, held.l.length - Math.max(room, 1));
    const left = from ? EARLIER : 0;
    if (from) row.append(element('span', '… ' + from + ' earlier', 'earlier'));
    const shown = held.l.slice(from);
    for (const entry of shown) row.append(cell(entry, held.h));
    for (const entry of gone) {
      const ghost = element('span', '✕', 'record ghost');
      ghost.dataset.offset = entry[0];
      ghost.append(element('b', entry[3] || 'e' + entry[1]));
      row.append(ghost);
    }
    const end = held.l.length ? ends(held.l[held.l.length - 1]) : held.b || 0;
    const at = offset => left + shown.filter(entry => ends(entry) <= offset).length * CELL;
    if (held.h != null) {
      row.append(mark(at(held.h), 'HW ' + held.h + (held.h === end ? ' = end' : ''), '', width));
    }
    if (held.h !== end) {
      row.classList.add('apart');
      row.append(mark(at(end), 'end ' + end, 'end', width));
    }
    return row;
  }

  function replica(name, held, isr, changes, committed, width) {
    const made = element('div', '', 'replica'), header = head(name, held, changes);
    if (held.u === false) badge(header, '✕ down', 'is-down');
    else badge(header, held.r ?? '? role', held.r === 'leader' ? 'is-leader' : '');
    badge(header, 'epoch ' + say(held.e));
    if (!isr) badge(header, '? ISR');
    else if (isr.includes(name)) badge(header, '✓ in ISR', 'in-sync');
    else badge(header, '– not in ISR');
    if (held.i) badge(header, 'knows ISR ' + say(held.i));
    made.append(header, cells(held, isr && isr.includes(name) ? committed : [], width));
    return made;
  }

  // Lanes that are no brokers: all that is known of them, as badges.
  function facts(name, held, changes) {
    const made = element('div', '', 'replica'), header = head(name, held, changes);
    for (const [key, value] of Object.entries(held)) {
      if (value != null) badge(header, NAMES[key] + ' ' + say(value));
    }
    made.append(header);
    return made;
  }

  function player(root) {
    const story = STORIES[root.dataset.story], states = statesOf(story);
    const last = states.length - 1, broken = story.v ?? null;
    const buttons = $$('.rows li button', root), notes = {};
    for (const item of $$('.words li', root)) notes[item.value] = $('span', item).textContent;
    const slider = $('input', root), stage = $('.stage', root), scroll = $('.scroll', root);
    const messages = $$('svg.spacetime .message', root), dots = $$('circle.dot', root);
    const band = $('.at', root);
    let now = -1, timer;

    function verdict(step) {
      if (broken === null || step < broken) return element('p', '✓ ' + story.c + ' holds', 'holds');
      return element('p', step === broken ? '✕ first violation of ' + story.c
        : '✕ ' + story.c + ' violated since step ' + (story.f + broken), 'holds not');
    }

    function draw(step) {
      const state = states[step], changes = step ? story.s[step] : {}, width = stage.clientWidth;
      const title = element('h3'), [number, name, ms] = buttons[step].children;
      title.append(element('span', number.textContent + '. ' + name.textContent));
      if (ms) title.append(element('s', ms.textContent + ' ms'));
      const note = element('p', notes[story.f + step] || '', 'note');
      const committed = broken !== null && step >= broken ? story.m : [];
      const isr = story.q.map(id => state[id] && state[id].i).find(Boolean);
      const parts = [title, verdict(step), note], epochs = new Set();
      for (const id of [...story.q, ...story.z]) {
        parts.push(facts(id, state[id] || {}, changes[id]));
      }
      for (const id of story.b) {
        const held = state[id] || {};
        for (const entry of held.l || []) epochs.add(entry[1]);
        parts.push(replica(id, held, isr, changes[id], committed, width));
      }
      const legend = element('p', '', 'epochs');
      for (const epoch of [...epochs].sort((a, b) => a - b)) {
        const item = element('span', 'epoch ' + epoch);
        item.prepend(element('i', '', fill(epoch)));
        legend.append(item);
      }
      if (epochs.size) legend.append(element('span', 'amber foot: above the high watermark'));
      if (committed.length) legend.append(element('span', '✕ dashed: committed, missing here'));
      stage.replaceChildren(...parts, legend);
    }

    // Keeps the row and the dot of the step in sight.
    function reveal(step) {
      const x = +dots[step].getAttribute('cx'), y = step * ROW + 27;
      const room = scroll.clientWidth - $('.rows ol', root).clientWidth;
      if (room < $('svg.spacetime', root).clientWidth) scroll.scrollLeft = Math.max(0, x - room / 2);
      if (y < scroll.scrollTop + 54 || y > scroll.scrollTop + scroll.clientHeight - 54) {
        scroll.scrollTop = y - scroll.clientHeight / 2;
      }
    }

    function go(to, focus) {
      const step = Math.max(0, Math.min(last, to));
      if (step === now) return;
      if (now >= 0) buttons[now].removeAttribute('aria-current');
      now = step;
      buttons[step].setAttribute('aria-current', 'step');
      band.setAttribute('y', step * ROW);
      slider.value = story.f + step;
      const said = 'step ' + (story.f + step) + ': ' + buttons[step].children[1].textContent;
      slider.setAttribute('aria-valuetext', said);
      $('.hidden-text', root).textContent = said + (step === broken ? ', first violation' : '');
      for (const message of messages) {
        const { from, to: received } = message.dataset;
        message.classList.toggle('now', +from === step || +(received ?? -1) === step);
      }
      draw(step);
      reveal(step);
      if (focus) buttons[step].focus({ preventScroll: true });
    }

    // The address follows, once the reader rests on a step.
    function moved(to, focus) {
      go(to, focus);
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (root.offsetParent === null) return;
        history.replaceState(null, '', '#' + root.dataset.story + '@' + (story.f + now));
      }, 200);
    }
    const ways = {
      first: () => 0, last: () => last, back: () => now - 1, on: () => now + 1,
      violation: () => broken ?? now,
    };
    const way = name => moved(ways[name](), root.contains(document.activeElement)
      && document.activeElement.closest('.rows ol'));
    slider.oninput = () => moved(+slider.value - story.f);
    $('.controls', root).onclick = event => {
      const button = event.target.closest('button');
      if (button) way(button.dataset.go);
    };
    for (const [step, button] of buttons.entries()) button.onclick = () => moved(step);
    return { go: number => go(number - story.f), open: () => go(broken ?? last), way };
  }

  // A player is made when it is first seen: a page of many stories stays quick.
  const players = new Map();
  const seen = () => $$('.play[data-story]').filter(root => root.offsetParent !== null);
  const playerOf = root => {
    if (!players.has(root)) {
      players.set(root, player(root));
      players.get(root).open();
    }
    return players.get(root);
  };

  // An address may end in @ and the number of a step.
  function route() {
    let address = location.hash.slice(1);
    try { address = decodeURIComponent(address); } catch { }
    seen().forEach(playerOf);
    const [, place, number] = address.match(/^(.*)@(\d+)$/) || [];
    const aim = document.getElementById(address) || document.getElementById(place);
    const root = aim && number && (aim.closest('.play[data-story]') || $('.play[data-story]', aim));
    if (root) playerOf(root).go(+number);
  }
  addEventListener('hashchange', () => setTimeout(route));
  document.addEventListener('toggle', () => seen().forEach(playerOf), true);
  route();

  const KEYS = {
    ArrowLeft: 'back', ArrowRight: 'on', Home: 'first', End: 'last', f: 'violation',
  };
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    if (event.target.closest('select, textarea, input[type=search]')) return;
    const near = event.target.closest('.play[data-story]') || seen()[0];
    if (!near) return;
    event.preventDefault();
    playerOf(near).way(KEYS[event.key]);
  });
})();
