/* BERT's forward pass in plain JavaScript. It needs no page and no library.

     const model = d2lbert.load(d2lbert.mini);
     const {tokens, segments} = d2lbert.join(["a", "crane", "is", "<mask>"]);
     const result = d2lbert.forward(model, tokens, segments);
     d2lbert.wordChances(model, result, tokens.indexOf("<mask>"));

   L tokens, H hidden units, A heads, D = H / A units a head, F units of the
   feed-forward network, V words. A matrix (L, H) is an array of L rows, each
   a Float64Array: weights have 32 bits, and sums are made in 64. */
"use strict";
var d2lbert = globalThis.d2lbert || {};

(function () {
  /** {sizes, vocab, ids: word -> id, weights: {name: Float32Array}}. */
  d2lbert.load = function (data) {
    const all = d2lbert.floats(data.weights), weights = {};
    let start = 0;
    for (const [name, shape] of Object.entries(data.shapes)) {
      const size = shape.reduce((product, n) => product * n, 1);
      weights[name] = all.subarray(start, start + size);
      start += size;
    }
    const ids = new Map(data.vocab.map((word, id) => [word, id]));
    return {sizes: data.sizes, vocab: data.vocab, ids, weights};
  };

  /** Little-endian float32 numbers in base64 -> Float32Array. */
  d2lbert.floats = function (text) {
    const chars = atob(text), bytes = new Uint8Array(chars.length);
    for (let i = 0; i < chars.length; i++) bytes[i] = chars.charCodeAt(i);
    const view = new DataView(bytes.buffer);
    const numbers = new Float32Array(bytes.length / 4);
    for (let i = 0; i < numbers.length; i++) {
      numbers[i] = view.getFloat32(4 * i, true);
    }
    return numbers;
  };

  /** The input of one sentence or two: {tokens, segments}, L of each. */
  d2lbert.join = function (first, second) {
    const tokens = ["<cls>", ...first, "<sep>"];
    const segments = tokens.map(() => 0);
    if (second && second.length) {
      tokens.push(...second, "<sep>");
      segments.push(...second.map(() => 1), 1);
    }
    return {tokens, segments};
  };

  /** All that BERT's encoder computes for one sequence.

      tokens: L strings; one that is not in the vocabulary is read as <unk>.
      segments: L numbers, 0 or 1.

      Returns {tokens, ids, segments, embeddings, blocks, output}:
        embeddings: {token, segment, position, sum}, each (L, H);
        blocks: see `block`; output: (L, H), that of the last of them.

      Throws an Error for more tokens than the model has positions. */
  d2lbert.forward = function (model, tokens, segments) {
    const {max_len, num_blks} = model.sizes;
    if (tokens.length > max_len || tokens.length !== segments.length) {
      throw new Error(`${tokens.length} tokens and ${segments.length} ` +
        `segments: the model reads as many, and at most ${max_len}`);
    }
    const ids = tokens.map((token) => model.ids.get(token) ?? 0);
    const embeddings = embed(model, ids, segments), blocks = [];
    let X = embeddings.sum;
    for (let i = 0; i < num_blks; i++) {
      blocks.push(block(model, `encoder.blks.${i}`, X));
      X = blocks[i].output;
    }
    return {tokens, ids, segments, embeddings, blocks, output: X};
  };

  function embed(model, ids, segments) {
    const H = model.sizes.num_hiddens;
    const rows = (name, wanted) => wanted.map((i) => Float64Array.from(
      model.weights[`encoder.${name}`].subarray(H * i, H * (i + 1))));
    const token = rows("token_embedding.weight", ids);
    const segment = rows("segment_embedding.weight", segments);
    const position = rows("pos_embedding", ids.map((_, place) => place));
    return {token, segment, position, sum: add(add(token, segment), position)};
  }

  /** One block on X (L, H).

      Returns {input, heads, attention, norm1, hidden, ffn, output}:
        input: X; heads: A of what `head` gives; attention: (L, H), after
        W_o; norm1: (L, H); hidden: (L, F), after the ReLU; ffn, output:
        (L, H). */
  function block(model, name, X) {
    const layer = (part, rows) => dense(model, `${name}.${part}`, rows);
    const norm = (part, rows) => layerNorm(model, `${name}.${part}.ln`, rows);
    const [Q, K, V] = ["q", "k", "v"].map((c) => layer(`attention.W_${c}`, X));
    const {num_heads: A, num_hiddens: H} = model.sizes;
    const heads = Array.from({length: A}, (_, h) => {
      const part = (rows) => rows.map(
        (row) => row.subarray(h * H / A, (h + 1) * H / A));
      return head(part(Q), part(K), part(V));
    });
    const joined = X.map((_, i) => Float64Array.from(
      heads.flatMap((one) => [...one.output[i]])));
    const attention = layer("attention.W_o", joined);
    const norm1 = norm("addnorm1", add(X, attention));
    const hidden = layer("ffn.dense1", norm1).map(
      (row) => row.map((x) => Math.max(x, 0)));
    const ffn = layer("ffn.dense2", hidden);
    const output = norm("addnorm2", add(norm1, ffn));
    return {input: X, heads, attention, norm1, hidden, ffn, output};
  }

  /** One head: {q, k, v: (L, D), scores, weights: (L, L), output: (L, D)}.

      Row i of the scores holds token i's query times every key, over √D;
      the softmax of it are the weights. */
  function head(q, k, v) {
    const scale = 1 / Math.sqrt(q[0].length);
    const scores = q.map((query) => Float64Array.from(
      k, (key) => dot(query, key) * scale));
    const weights = scores.map(d2lbert.softmax);
    const output = weights.map((row) => {
      const sum = new Float64Array(v[0].length);
      row.forEach((weight, j) => {
        for (let d = 0; d < sum.length; d++) sum[d] += weight * v[j][d];
      });
      return sum;
    });
    return {q, k, v, scores, weights, output};
  }

  /** (V,) the probability of each word at a place of the sequence. */
  d2lbert.wordChances = function (model, result, place) {
    return d2lbert.softmax(d2lbert.wordLogits(model, result, place));
  };

  d2lbert.wordLogits = function (model, result, place) {
    const hidden = dense(model, "mlm.mlp.0", [result.output[place]]).map(
      (row) => row.map((x) => Math.max(x, 0)));
    const normed = layerNorm(model, "mlm.mlp.2", hidden);
    return dense(model, "mlm.mlp.3", normed)[0];
  };

  /** The probability that the second sentence follows the first. */
  d2lbert.nextChance = function (model, result) {
    return d2lbert.softmax(d2lbert.nextLogits(model, result))[1];
  };

  d2lbert.nextLogits = function (model, result) {
    const cls = dense(model, "hidden.0", [result.output[0]]);
    return dense(model, "nsp.output", cls.map((row) => row.map(Math.tanh)))[0];
  };

  /** The n indices of the largest numbers, the largest first. */
  d2lbert.largest = function (numbers, n) {
    return Array.from(numbers.keys()).sort(
      (i, j) => numbers[j] - numbers[i]).slice(0, n);
  };

  d2lbert.cosine = function (a, b) {
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };

  d2lbert.softmax = function (row) {
    const top = row.reduce((a, b) => Math.max(a, b));
    const exps = row.map((x) => Math.exp(x - top));
    const sum = exps.reduce((a, b) => a + b);
    return exps.map((e) => e / sum);
  };

  /** X (L, inputs) -> (L, outputs); the inputs are a multiple of four.

      Four sums run beside each other: one alone would wait for itself. */
  function dense(model, name, X) {
    const weight = model.weights[`${name}.weight`];
    const bias = model.weights[`${name}.bias`];
    return X.map((x) => {
      const out = new Float64Array(bias.length);
      for (let i = 0, k = 0; i < out.length; i++) {
        let a = bias[i], b = 0, c = 0, d = 0;
        for (let j = 0; j < x.length; j += 4, k += 4) {
          a += weight[k] * x[j];
          b += weight[k + 1] * x[j + 1];
          c += weight[k + 2] * x[j + 2];
          d += weight[k + 3] * x[j + 3];
        }
        out[i] = a + b + c + d;
      }
      return out;
    });
  }

  function layerNorm(model, name, X) {
    const weight = model.weights[`${name}.weight`];
    const bias = model.weights[`${name}.bias`];
    return X.map((x) => {
      const mean = x.reduce((a, b) => a + b) / x.length;
      const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
      const scale = 1 / Math.sqrt(variance + 1e-5);
      return x.map((value, i) => (value - mean) * scale * weight[i] + bias[i]);
    });
  }

  function add(X, Y) {
    return X.map((row, i) => row.map((x, j) => x + Y[i][j]));
  }

  function dot(a, b) {
    let sum = 0;
    for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
    return sum;
  }
})();
