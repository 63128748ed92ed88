/* A sentence read by a small LSTM, word by word, and drawn: plain JavaScript, no library.

First the forward pass of numpy_setlstm/one_file.py, for one text: words become vectors, a step of the LSTM for each,
and an opinion from its state. A matrix is a list of (row, column, weight), a dense one too. Then the pictures of it.
The weights come as JSON, whose keys the docstring of numpy_setlstm.export.to_json describes.
Sizes: T words; D numbers per word, H hidden units, V words in the vocabulary, C classes. */
(() => {
  const WORD = new RegExp([
    /<\/?3(?!\d)|[:;=]['^-]?(?:[()[\]|*/\\]+|[dpo](?![\p{L}\p{N}_]))/, // hearts, emoticons
    /\d+(?:[.,/:]\d+)+|[\p{L}\p{N}]+(?:'[\p{L}\p{N}]+)*|!(?!!)|\?(?!\?)/, // 10/10, film, don't
  ].map(({ source }) => source).join("|"), "gu");

  /** Lower-case words, as numpy_setlstm.tokenize finds them, but for HTML, links, emoji, Chinese and Japanese. */
  const tokenize = (text) => text.toLowerCase().normalize("NFC").replace(/[’´`]/g, "'").match(WORD) ?? [];

  /** A matrix: connection k leads from rows[k] to cols[k]; row r has the connections starts[r] to starts[r + 1]. */
  function matrix({ shape: [nRows, nCols = 1], cells, values }) {
    const keys = cells ? Int32Array.from(cells) : new Int32Array(values.length).map((_, k) => k); // a dense one: all
    const rows = keys.map((key) => Math.floor(key / nCols)), cols = keys.map((key) => key % nCols);
    const starts = new Int32Array(nRows + 1);
    for (const row of rows) starts[row + 1]++;
    for (let row = 0; row < nRows; row++) starts[row + 1] += starts[row];
    return { nRows, nCols, keys, rows, cols, values: Float64Array.from(values), starts };
  }

  /** A row of a matrix, 0 where it has no connection: of E, the vector x (D,) of a word. */
  function vectorOf(W, row) {
    const x = new Float64Array(W.nCols);
    for (let k = W.starts[row]; k < W.starts[row + 1]; k++) x[W.cols[k]] = W.values[k];
    return x;
  }

  /** y + x @ W, in place: each connection adds its row's input times its weight to its column. */
  function addProduct(y, x, W) {
    for (let k = 0; k < W.values.length; k++) y[W.cols[k]] += x[W.rows[k]] * W.values[k];
    return y;
  }

  const sigmoid = (z) => 0.5 * (1 + Math.tanh(0.5 * z));

  /** One step of the LSTM: the word x (D,) is read in the state hPrev, cPrev (H,). */
  function lstmStep({ W_x, W_h, b }, x, hPrev, cPrev) {
    const H = hPrev.length, z = addProduct(addProduct(b.values.slice(), x, W_x), hPrev, W_h); // (4H,)
    const [i, f, o] = [0, 1, 2].map((gate) => z.slice(gate * H, (gate + 1) * H).map(sigmoid)); // write, keep, show
    const g = z.slice(3 * H).map(Math.tanh); // what could be written
    const c = cPrev.map((old, u) => f[u] * old + i[u] * g[u]);
    const h = c.map((memory, u) => o[u] * Math.tanh(memory));
    return { x, hPrev, i, f, o, g, c, h };
  }

  /** Probabilities (C,) of the classes, from what the readout reads: h (H,). */
  function readout({ W_out, b_out }, h) {
    const logits = addProduct(b_out.values.slice(), h, W_out), most = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - most));
    return powers.map((power) => power / powers.reduce((a, b) => a + b));
  }

  const POOLINGS = { // what the readout reads of a unit, from its states after the words so far
    last: (hs) => hs.at(-1), mean: (hs) => hs.reduce((a, b) => a + b) / hs.length, max: (hs) => Math.max(...hs) };

  /** Read a text, ids (T,): a list of T steps of the LSTM, each with what the network would say after it. */
  function read(parameters, ids, pooling) {
    let h = new Float64Array(parameters.W_h.nRows), c = h; // nothing has been read
    const steps = [];
    for (const id of ids) {
      const step = lstmStep(parameters, vectorOf(parameters.E, id), h, c);
      ({ h, c } = step);
      steps.push(step);
      step.pooled = h.map((_, u) => POOLINGS[pooling](steps.map((step) => step.h[u])));
      step.probabilities = readout(parameters, step.pooled);
    }
    return steps;
  }

  /** How far each unit pushes towards class k, away from the others, (H,): what it shows times its weight. */
  function pushes({ W_out }, h, k) {
    const mean = (row) => row.reduce((a, b) => a + b) / row.length, C = W_out.nCols;
    return h.map((shown, u) => (shown * (vectorOf(W_out, u)[k] - mean(vectorOf(W_out, u))) * C) / (C - 1));
  }

  // The pictures

  const CHART = 160, ROW = 33, MEMORIES = 4, STRONGEST = 16; // pixels; and how many memories, how many lit connections
  const GATES = { i: "input gate i: writes", f: "forget gate f: keeps", o: "output gate o: shows", g: "candidate g" };
  const range = (n) => Array.from({ length: n }, (_, k) => k);
  const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
  const signed = (x) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(2);
  const escaped = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const quoted = (word) => `“${escaped(word)}”`;
  const largest = (xs) => xs.reduce((best, x, k) => (Math.abs(x) > Math.abs(xs[best]) ? k : best), 0);
  const bySign = (x, above = "raise", below = "lower") => (x > 0 ? above : x < 0 ? below : "none");
  const line = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const rect = (kind, x, y, w, h) => `<rect class="${kind}" x="${x}" y="${y}" width="${w}" height="${h}" rx="1"/>`;
  const circle = (kind, x, y, r) => `<circle class="${kind}" cx="${x}" cy="${y}" r="${r}"/>`;
  const radio = (name, k, kind, text) =>
    `<label data-${name}="${k}" class="${kind}"><input type="radio" name="${name}">${text}</label>`;

  /** A bar at each center, from the height y up for numbers above 0, down for those below; `kind` colours it. */
  function bars(values, centers, y, height, kind) {
    return `<path class="axis" d="M0 ${y}H${centers.at(-1) + 12}"/>` + values.map((value, t) => {
      const size = Math.max(1, height * Math.abs(value));
      return rect(kind(value, t), centers[t] - 9, value > 0 ? y - size : y, 18, size);
    }).join("");
  }

  /** Labels, each with its y, moved down and then up until none covers another. */
  function spread(labels, apart = 16) {
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((label, k) => (label.y = Math.max(label.y, k ? labels[k - 1].y + apart : 8)));
    labels.reverse().forEach((label, k) => (label.y = Math.min(label.y, k ? labels[k - 1].y - apart : CHART - 4)));
    return labels.map(({ x, y, kind, text }) => `<text class="${kind}" x="${x}" y="${y + 4}">${text}</text>`).join("");
  }

  /** What is shown, and how it is drawn into reader.html, whose elements with an id are in `show`. */
  class Reader {
    constructor(root, model) {
      const show = Object.fromEntries([...root.querySelectorAll("[id]")].map((element) => [element.id, element]));
      Object.assign(this, { model, show, ids: new Map(model.words.map((word, id) => [word, id])) });
      const on = (element, types, react) => types.forEach((type) => element.addEventListener(type, react));
      on(show.text, ["input"], () => this.read());
      on(show.sentences, ["change"], () => this.read((show.text.value = show.sentences.value || show.text.value)));
      on(show.kinds, ["change"], () => this.read(show.text.value, this.at));
      on(show.epoch, ["input"], () => this.read(show.text.value, this.at, this.unit, "step"));
      on(root, ["pointerover", "focusin"], ({ target }) => {
        const { unit, word } = target.closest("[data-unit],[data-word]")?.dataset ?? {};
        if (word) this.choose({ at: Number(word), mode: "word", touched: false });
        if (unit) this.choose({ unit: Number(unit), touched: true });
      });
      for (const element of [show.panels, show.units, show.memories])
        on(element, ["pointerleave", "focusout"], () => this.choose({ touched: false }));
      this.read();
      new ResizeObserver(() => this.draw()).observe(show.scroll);
    }

    /** Change what is shown, and draw it if that is new. */
    choose(what) {
      if (Object.keys(what).some((key) => this[key] !== what[key])) this.draw(Object.assign(this, what));
    }

    /** The epoch of a network that the slider shows, or its last; its matrices are made when they are first needed. */
    epochOf(network) {
      const epoch = network.epochs[Math.min(this.show.epoch.value, network.epochs.length - 1)];
      epoch.matrices ??= Object.fromEntries(Object.entries(epoch.parameters).map(([name, W]) => [name, matrix(W)]));
      return epoch;
    }

    /** Read the text; choose the word that matters most to the end, and the unit that says most, unless given. */
    read(text = this.show.text.value, at = undefined, unit = undefined, mode = "word") {
      const { networks, classes, max_length, truncating, pooling } = this.model, { kinds, words, units } = this.show;
      const network = networks[kinds.querySelector(":checked").value], epoch = this.epochOf(network);
      const p = epoch.matrices, H = p.W_h.nRows;
      const tokens = tokenize(text).slice(...(truncating === "pre" ? [-max_length] : [0, max_length]));
      const ids = tokens.map((word) => this.ids.get(word) ?? 1), steps = read(p, ids, pooling);
      const k = classes.length === 2 ? 1 : largest([...(steps.at(-1)?.probabilities ?? [1])]); // whose probability
      const opinionsOf = (steps) => steps.map((step) => step.probabilities[k]);
      const opinions = [readout(p, new Float64Array(H))[k], ...opinionsOf(steps)]; // the first without a word
      const other = networks.find((one) => one !== network && one.connectivity !== "dense"); // to compare with
      Object.assign(this, { network, epoch, p, k, tokens, steps, opinions, other, mode });
      this.otherOpinions = other ? opinionsOf(read(this.epochOf(other).matrices, ids, pooling)) : [];
      this.without = (t) => opinionsOf(read(p, ids.filter((_, place) => place !== t), pooling)).slice(t);
      this.step = network.set_steps.findLast((step) => step.epoch === epoch.epoch - 1); // the one before this epoch
      this.pushes = steps.map((step) => pushes(p, step.pooled, k)); // T lists (H,)
      epoch.alone ??= range(p.E.nRows).map((id) => read(p, [id], "last")[0].c); // what each word writes, V lists (H,)
      const most = range(H).map((u) => Math.max(0, ...this.pushes.map((push) => Math.abs(push[u]))));
      this.ranking = range(H).sort((u, v) => most[v] - most[u]);
      const matters = (t) => opinions.at(-1) - (this.without(t).at(-1) ?? opinions[t]);
      this.at = Math.min(at ?? largest(range(ids.length).map(matters)), ids.length - 1);
      this.unit = unit ?? this.ranking[0];
      this.unknown = new Set(tokens.filter((_, t) => ids[t] === 1));
      const html = tokens.map((word, t) => radio("word", t, `known-${ids[t] !== 1}`, escaped(word))).join("");
      if (html !== this.html) words.innerHTML = this.html = html;
      if (units.children.length !== H) units.innerHTML = range(H).map((u) => radio("unit", u, "", u + 1)).join("");
      this.draw();
    }

    draw() {
      const { show, steps, unknown, epoch, mode, step, tokens, at, network, opinions } = this;
      const shown = !steps.length ? "empty" : mode === "step" && step ? "step" : "";
      show.view.className = `${network.connectivity} ${shown}`;
      [show.is.textContent, show.facts.textContent] = [epoch.when, epoch.facts];
      show.unknown.textContent = !steps.length ? "Type a few words." : !unknown.size ? "" :
        `The network does not know ${[...unknown].join(", ")}, and reads “unknown word” instead.`;
      if (!steps.length) return;
      this.drawTime();
      show.panels.innerHTML = Object.keys(GATES).map((name, gate) => this.panel(name, gate)).join("");
      this.drawUnits();
      clearTimeout(this.rest); // the summary is said when the picture has come to rest
      this.rest = setTimeout(() => (show.summary.textContent = `After “${tokens[at]}”, word ${at + 1} of
        ${tokens.length}, the ${network.name} network, ${epoch.when}, says “${show.top.textContent}” with
        ${percent(opinions[at + 1])}; before it, ${percent(opinions[at])}; at the end, ${percent(opinions.at(-1))}.
        ${show.word.textContent.trim()}.`), 300);
    }

    /** Over the words: the opinion, the memories of the units that say most, the gates of the chosen unit. */
    drawTime() {
      const { show, tokens, steps, at, unit, opinions, k, model: { classes } } = this;
      const labels = [...show.words.children], height = CHART + ROW * (MEMORIES + 5);
      const centers = labels.map((label) => label.offsetLeft + label.offsetWidth / 2), end = centers.at(-1);
      const y = (share) => 12 + (1 - share) * (CHART - 24), middle = y(0.5), rows = this.ranking.slice(0, MEMORIES);
      const points = (shares, from) => shares.map((share, t) => [centers[from + t] ?? 4, y(share)]);
      const main = points(opinions, -1), lines = [ // the kind, shares from a word on, and a text
        ["other", this.otherOpinions, 0, escaped(this.other?.name)],
        ["without", [opinions[at], opinions[at], ...this.without(at)], at - 1, `without ${quoted(tokens[at])}`],
        ["opinion", opinions, -1, ""]].filter(([, shares]) => shares.length);
      const ends = lines.map(([kind, shares, , text]) =>
        ({ kind, x: end + 14, y: y(shares.at(-1)), text: `${percent(shares.at(-1))} <tspan>${text}</tspan>` }));
      const area = line([[4, middle], ...main, [end, middle]]), { offsetLeft, offsetWidth } = labels[at];
      const scale = Math.max(...steps.flatMap((step) => rows.map((u) => Math.abs(step.c[u]))));
      const memories = rows.map((u, row) => bars(steps.map((step) => step.c[u] / scale), centers,
        CHART + ROW * (row + 0.5), ROW / 2 - 2, (_, t) => bySign(this.pushes[t][u], "positive", "negative")));
      const gates = Object.keys(GATES).map((name, row) => {
        const bottom = CHART + ROW * (MEMORIES + 2 + row), values = steps.map((step) => step[name][unit]);
        return name === "g" ? bars(values, centers, bottom - ROW / 2, ROW / 2 - 2, (value) => bySign(value))
          : bars(values, centers, bottom - 4, ROW - 6, () => "gate");
      });
      show.lines.style.cssText = `width: ${end + 160}px; height: ${height}px`;
      show.lines.innerHTML = rect("here", offsetLeft, 0, offsetWidth, height) + `<svg height="${middle}">
        <path class="positive area" d="${area}"/></svg><svg y="${middle}"><path class="negative area" d="${area}"
        transform="translate(0 ${-middle})"/></svg><path class="axis" d="M0 ${middle}H${end}"/>` +
        lines.map(([kind, shares, from]) => `<path class="${kind}" d="${line(points(shares, from))}"/>`).join("") +
        main.map(([x, y], t) => circle(y < middle ? "positive" : "negative", x, y, t === at + 1 ? 6.5 : 3.5)).join("") +
        spread(ends) + memories.join("") + gates.join("");
      labels[at].firstChild.checked = true;
      const right = offsetLeft + offsetWidth + (at < labels.length - 1 ? 6 : 160) - show.scroll.clientWidth;
      show.scroll.scrollLeft = Math.min(offsetLeft, Math.max(show.scroll.scrollLeft, right)); // the word is in view
      [show.top.textContent, show.bottom.textContent, show.inside.textContent] =
        [classes[k], classes.length === 2 ? classes[0] : "others", `in unit ${unit + 1}`];
      show.memories.innerHTML = rows.map((u) => `<span data-unit="${u}">unit ${u + 1}
        <small>${this.noticed(u).slice(0, 2).map(([word]) => escaped(word)).join(", ")}</small></span>`).join("");
    }

    /** The words that move the memory of a unit most, each as all that is read: pairs of a word and what it writes. */
    noticed(unit) {
      const pairs = this.epoch.alone.map((c, id) => [this.model.words[id], c[unit]]).slice(2);
      return pairs.sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).slice(0, 8);
    }

    /** The connections into a gate, from the word's dimensions and from the state before; and the gate of each unit. */
    panel(name, gate) {
      const { p, at, unit, touched } = this, { x, hPrev, [name]: values } = this.steps[at];
      const D = x.length, H = hPrev.length, changes = this.mode === "step" ? this.step?.matrices : undefined;
      const top = 30, height = 380, from = 10, to = 150, [zero, size] = name === "g" ? [189, 31] : [158, 62]; // pixels
      const space = (height - top) / (D + H + 3), lines = {}, tenths = (y) => Math.round(10 * y) / 10;
      const source = (s) => tenths(top + space * (s + (s < D ? 0.5 : 3)));
      const target = (u) => tenths(top + ((u + 0.5) * (height - top)) / H);
      const connections = [["W_x", x, 0], ["W_h", hPrev, D]].flatMap(([name, input, offset]) => {
        const { keys, rows, values, nCols } = p[name], { grown, pruned } = changes?.[name] ?? { grown: [], pruned: [] };
        const here = (cell) => Math.floor((cell % nCols) / H) === gate, isNew = new Set(grown);
        const one = (cell, kind, carried) => ({ s: offset + Math.floor(cell / nCols), u: cell % H, kind, carried });
        const all = range(keys.length).filter((k) => here(keys[k])).map((k) =>
          one(keys[k], isNew.has(keys[k]) ? "grown" : "all", input[rows[k]] * values[k]));
        return [...all, ...pruned.filter(here).map((cell) => one(cell, "pruned", 0))];
      });
      const enough = connections.map(({ carried }) => Math.abs(carried)).sort((a, b) => b - a)[STRONGEST] ?? 0;
      for (const { s, u, kind, carried } of connections) {
        const emphasis = !touched ? "" : u === unit || s === D + unit ? " own" : " far", size = Math.abs(carried);
        const isLit = !changes && size > enough, width = Math.min(3, Math.ceil(size));
        const name = (isLit ? `${bySign(carried)} w${width}` : kind) + emphasis;
        lines[name] = `${lines[name] ?? ""}M${from} ${source(s)}L${to} ${target(u)}`;
      }
      const kinds = Object.keys(lines).sort((a, b) => b.startsWith("all") - a.startsWith("all")); // these on top
      const dot = (v, s) => circle(bySign(v), from, source(s), v ? 3.6 : 1.8);
      const row = (v, u) => `<g data-unit="${u}" class="${u === unit ? "chosen" : ""}">` +
        rect("catch", to - 8, target(u) - 0.8 * space, 80, 1.6 * space) + circle("", to, target(u), 3.4) +
        rect(name === "g" ? bySign(v) : "gate", zero + size * Math.min(0, v), target(u) - 3.5, size * Math.abs(v), 7) +
        "</g>";
      return `<figure><figcaption>${GATES[name]}</figcaption><svg viewBox="0 0 222 ${height + 6}" aria-hidden="true">` +
        kinds.map((kind) => `<path class="line ${kind}" d="${lines[kind]}"/>`).join("") + [...x].map(dot).join("") +
        [...hPrev].map((v, u) => `<g data-unit="${u}">${dot(v, D + u)}</g>`).join("") + [...values].map(row).join("") +
        `<text x="4" y="${top - 8}">${quoted(this.tokens[at])}</text>` +
        `<text x="4" y="${source(D) - 8}">state before</text></svg></figure>`;
    }

    /** The units, coloured by what they say about the opinion; what is known of the chosen one; what the word owns. */
    drawUnits() {
      const { show, at, unit, pushes } = this, { x, c, h } = this.steps[at], words = this.noticed(unit);
      const most = Math.max(...pushes.flatMap((push) => [...push].map(Math.abs))), word = quoted(this.tokens[at]);
      [...show.units.children].forEach((label, u) => {
        label.className = bySign(pushes[at][u], "positive", "negative");
        label.style.setProperty("--share", `${Math.round((85 * Math.abs(pushes[at][u])) / most)}%`);
        label.firstChild.checked = u === unit;
      });
      show.word.innerHTML = `${word} owns ${x.filter((v) => v).length} of ${x.length} dimensions <span class="cells">` +
        [...x].map((v, d) => `<i class="${bySign(v)}" data-number="${v ? d + 1 : ""}"></i>`).join("") + "</span>";
      show.card.innerHTML = `<h3>Unit ${unit + 1}</h3><p>After ${word} its memory is ${signed(c[unit])}; it shows
        ${signed(h[unit])}, which pushes the opinion by ${signed(pushes[at][unit])}. Read alone, these words move its
        memory most:</p><ul>` + words.map(([word, written]) => `<li>${escaped(word)}<i><b class="${bySign(written)}"
        style="--share: ${100 * Math.abs(written / words[0][1])}%"></b></i>${signed(written)}`).join("") + "</ul>";
    }
  }

  for (const host of document.querySelectorAll("setlstm-reader:not([ready])")) {
    host.setAttribute("ready", "");
    const root = host.attachShadow({ mode: "open" }), packed = atob(host.querySelector("script").textContent);
    root.append(host.querySelector("template").content.cloneNode(true));
    const stream = new Blob([Uint8Array.from(packed, (sign) => sign.charCodeAt(0))]).stream();
    const json = new Response(stream.pipeThrough(new DecompressionStream("gzip"))).json();
    json.then((model) => (host.reader = new Reader(root, model)));
  }
})();
