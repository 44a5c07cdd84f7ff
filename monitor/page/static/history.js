/* The chart of an asset as the daemon gave it, and how it goes on row by row: the same points, one bucket of time
   each, with what its rows come to. Nothing is drawn here. */

const OF_SCORES = ["low", "mean", "high", "threshold"];
const OF_SENSORS = ["low", "mean", "high", "expected"];
const LEAST_LEAP = 60; // buckets; a chart that has just begun has few
const NEWEST = 0.2; // of a contribution, by the newest rows

export class History {
  constructor(given) {
    Object.assign(this, given); // as of api/v1/assets/KEY
    this.going = new Map(); // of the means that go on: name -> {time, count, sum}
  }

  /* Whether rows lie so far ahead of what is shown that it is to be asked for anew: going on would be through every
     bucket of the time between. */
  leaps({ time }) {
    const further = (Math.max(...time) - this.time.at(-1)) / this.width;
    return further > Math.max(this.time.length, LEAST_LEAP);
  }

  /* Take rows as of api/v1/assets/KEY/rows. Returns whether there were any. */
  take(rows) {
    this.position = rows.position;
    rows.time.forEach((time, row) => {
      const at = this.bucket(time);
      if (at < 0) return;
      const score = this.score;
      score.rows[at] += 1;
      score.status[at] = rows.status[row];
      if (rows.score[row] !== null) score.scored[at] += 1;
      this.add(score, "score", at, rows.score[row]);
      this.mean(score, "threshold", "score.threshold", at, rows.threshold[row]);
      for (const sensor of this.sensors) {
        const of = rows.sensors[sensor.name];
        if (!of) continue;
        this.add(sensor, sensor.name, at, of.actual[row]);
        this.mean(sensor, "expected", `${sensor.name}.expected`, at, of.expected[row]);
      }
    });
    if (rows.time.length) this.contribute(rows);
    return rows.time.length > 0;
  }

  /* The number of the bucket that a time belongs to; new ones are added, and as many of the oldest go. A chart that
     begins with the asset's first row grows, until it is asked for anew. */
  bucket(time) {
    const first = this.time[0];
    let at = Math.floor((time - first) / this.width);
    if (at < 0) return -1;
    while (at >= this.time.length) this.push();
    if (this.begins !== null && this.from <= this.begins) {
      this.to = Math.max(this.to, this.time.at(-1) + this.width);
      return at;
    }
    const most = Math.max(2, Math.ceil((this.to - this.from) / this.width) + 1);
    while (this.time.length > most) {
      this.shift();
      at -= 1;
    }
    return at;
  }

  push() {
    this.time.push(this.time.at(-1) + this.width);
    this.score.rows.push(0);
    this.score.scored.push(0);
    this.score.status.push(null);
    for (const name of OF_SCORES) this.score[name].push(null);
    for (const sensor of this.sensors) for (const name of OF_SENSORS) sensor[name].push(null);
  }

  shift() {
    this.time.shift();
    for (const name of ["rows", "scored", "status", ...OF_SCORES]) this.score[name].shift();
    for (const sensor of this.sensors) for (const name of OF_SENSORS) sensor[name].shift();
    this.from += this.width;
    this.to += this.width;
  }

  /* A value into low, mean and high of a bucket. */
  add(of, name, at, value) {
    if (value === null || value === undefined) return;
    of.low[at] = of.low[at] === null ? value : Math.min(of.low[at], value);
    of.high[at] = of.high[at] === null ? value : Math.max(of.high[at], value);
    this.mean(of, "mean", name, at, value);
  }

  /* A value into a mean. What the daemon has folded into it counts as one value: soon it counts no more. */
  mean(of, field, key, at, value) {
    if (value === null || value === undefined) return;
    const time = this.time[at];
    let known = this.going.get(key);
    if (known?.time !== time) {
      const before = of[field][at];
      known = { time, count: before === null ? 0 : 1, sum: before ?? 0 };
      this.going.set(key, known);
    }
    known.count += 1;
    known.sum += value;
    of[field][at] = known.sum / known.count;
  }

  /* What each sensor contributes to the newest scores: the mean of the rows, smoothed by what it was before. */
  contribute(rows) {
    const named = Object.entries(rows.sensors).map(([name, { contribution }]) => ({ name, now: mean(contribution) }));
    if (!named.some(({ now }) => now !== null)) return;
    const { rows: seen = 0, of = [] } = this.contributions ?? {};
    const before = new Map(of.map((each) => [each.name, each.contribution]));
    this.contributions = {
      time: rows.time.at(-1),
      rows: seen + rows.time.length,
      of: named
        .map(({ name, now }) => ({ name, contribution: smooth(before.get(name) ?? null, now) }))
        .sort((one, other) => (other.contribution ?? -1) - (one.contribution ?? -1)),
    };
  }
}

/* The mean of what is there; null where nothing is. */
function mean(values) {
  const there = values.filter((each) => each !== null);
  return there.length ? there.reduce((sum, each) => sum + each, 0) / there.length : null;
}

function smooth(before, now) {
  if (before === null || now === null) return now;
  return (1 - NEWEST) * before + NEWEST * now;
}
