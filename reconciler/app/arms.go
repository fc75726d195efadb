// What is logged of a release that is tried, and of its baseline: read part after part, and remembered between looks.

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog/stream"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostLogged bounds the rows of one look, and lookFor and lookWithin the time that it takes: the next one goes on behind them. What is
// read of a topic after lookFor is kept; a place that does not answer is given up after lookWithin.
const (
	mostLogged = 1 << 20
	lookFor    = 5 * time.Second
	lookWithin = 30 * time.Second
)

// armsLog reads the arms of logs. What it read is kept in a file each, and is read anew where that is lost.
type armsLog struct {
	serving string // the folder of what this machine serves
	cache   string
	env     port.Env
	within  time.Duration // that one look takes at most
	allow   []string      // private hosts and networks that gauges may be asked at
	// agreed is how places may be reached; nil: as they are declared.
	agreed func(context.Context) *agreement
}

// arms reads logs for the tracked branch alone: a pull request would say which.
func (h *Repository) arms(o Options) func(context.Context, *schemas.Declaration, port.Trial) (rollout.Evidence, error) {
	if o.Isolation != nil {
		return nil
	}
	return armsLog{h.Paths.Serving(), filepath.Join(h.Paths.Cache, "rollouts"), o.Env, lookWithin, o.Allow, func(ctx context.Context) *agreement { return h.agreed(ctx, o) }}.seen
}

// seen is what the log and the gauges say. What cannot be read is no evidence, and keeps nothing else.
func (l armsLog) seen(ctx context.Context, d *schemas.Declaration, t port.Trial) (rollout.Evidence, error) {
	e, err := l.evidence(ctx, d, t)
	if err != nil {
		e = rollout.Evidence{Unread: "the log of predictions cannot be read: " + err.Error()}
	}
	e.Gauges = l.readings(ctx, d)
	return e, nil
}

// armsRead is what was read of one trial so far.
type armsRead struct {
	Trial digest.Digest `json:"trial"` // of the release, since when, and of what is compared
	Last  string        `json:"last"`  // the last part that was read
	// Topic is how far a topic was read: its parts grow until their hour is over, so that none of them is the last.
	Topic  stream.Position `json:"topic,omitzero"`
	Canary map[string]rollout.Sample
	Base   map[string]rollout.Sample
}

// fresh is a trial of which nothing was read.
func fresh(trial digest.Digest) armsRead {
	return armsRead{Trial: trial, Canary: map[string]rollout.Sample{}, Base: map[string]rollout.Sample{}}
}

func (r armsRead) clone() armsRead {
	r.Canary, r.Base = maps.Clone(r.Canary), maps.Clone(r.Base)
	return r
}

// evidence is what the log says of what d's analyses compare in it; nothing where none does.
func (l armsLog) evidence(ctx context.Context, d *schemas.Declaration, t port.Trial) (rollout.Evidence, error) {
	spec, ok := d.Spec.(interface {
		schemas.RolledOut
		schemas.Logged
	})
	if !ok || spec.Rolls() == nil {
		return rollout.Evidence{}, nil
	}
	shares := sharesOf(spec.Rolls())
	if len(shares) == 0 {
		return rollout.Evidence{}, nil
	}
	if err := l.mayRead(ctx, spec.Logs()); err != nil {
		return rollout.Evidence{}, err
	}
	name, err := digest.JSON(map[string]any{"key": t.Key, "since": t.Since, "shares": shares, "log": spec.Logs()})
	if err != nil {
		return rollout.Evidence{}, fault.New(fault.Internal, "name a trial: %w", err)
	}
	r := l.recall(d.Metadata.Name, name)
	further := r.Topic
	// The place is reached as what serves reaches it to write there.
	objects, prefix, err := server.OpenPredictions(l.serving, d.Metadata.Name, spec.Logs(), server.Access{Env: l.env, From: t.Since,
		Further: &stream.Look{At: &further, Rows: mostLogged, Within: lookFor}})
	if err != nil {
		return rollout.Evidence{}, err
	}
	inTopic := spec.Logs() != nil && spec.Logs().Kafka != nil
	looks, done := context.WithTimeout(ctx, l.within)
	defer done()
	rows := predictionlog.Read(looks, objects, predictionlog.Query{Prefix: prefix, From: t.Since, Now: l.env.Now(), After: r.Last})
	defer rows.Close()
	unread := ""
	most := mostLogged
	if inTopic { // what a look brought is behind its position: all of it is counted
		most = math.MaxInt
	}
	err = r.takeRows(rows, t, shares, most)
	late := err != nil && errors.Is(looks.Err(), context.DeadlineExceeded)
	switch {
	case late && !inTopic && r.Last != "":
		unread = fmt.Sprintf("the log of predictions is read as far as %s, after %s; the next look goes on", r.Last, l.within)
	case late:
		return rollout.Evidence{}, fault.WithHint(fault.New(fault.Transient, "read the log of %s: its place did not answer within %s", d.Metadata.Name, l.within), "see that what serves can still write there: vishwa status")
	case err != nil:
		return rollout.Evidence{}, err
	case inTopic:
		r.Topic, r.Last = further, ""
	}
	if bad := rows.Report().Unreadable; len(bad) > 0 {
		return rollout.Evidence{}, fault.WithHint(fault.New(fault.Corrupt, "read the log of %s: %s", d.Metadata.Name, bad[0]), "see what is in its place, and take that file away")
	}
	if odd := clocks(l.env.Now(), t.Since, r.Last, rows.Report().Future); odd != "" {
		unread = strings.TrimPrefix(unread+"; "+odd, "; ")
	}
	l.keep(d.Metadata.Name, r)
	return rollout.Evidence{Canary: r.Canary, Baseline: r.Base, Unread: unread}, nil
}

// sharesOf are what analyses compare in the log, by metric.
func sharesOf(r *schemas.Rollout) map[string]schemas.LogShare {
	shares := map[string]schemas.LogShare{}
	for _, a := range r.Analyses {
		if a.Log != nil {
			shares[a.Compares()] = *a.Log
		}
	}
	return shares
}

// wrongClock is by how much a clock may go back with nothing said of it.
const wrongClock = 5 * time.Minute

// clocks says why rows of a log may be missing for the clock of this machine, or of the one that wrote them; "" where all is well. Rows of both
// releases are by the one clock of the host that serves them, so that what is left out is left out of both: it decides nothing, and is said.
func clocks(now, since time.Time, last string, future int64) string {
	const set = ": what is logged now is not counted before that time. Look whether a clock was set back. To decide without waiting: vishwa rollout promote, or abort"
	hour, has := predictions.Hour(last)
	switch {
	case since.After(now.Add(wrongClock)):
		return "the release is tried since " + since.UTC().Format(time.RFC3339) + ", which is in the future" + set
	case future > 0:
		return plural.Of(future, "row") + " of the log of predictions have a time that is in the future, and are not counted: correct the clock of the machine that serves, or of this one"
	case has && hour.After(now.Add(wrongClock)):
		return "the log of predictions is read up to " + hour.UTC().Format(time.RFC3339) + ", which is in the future" + set
	}
	return ""
}

func (l armsLog) mayRead(ctx context.Context, log *schemas.PredictionLog) error {
	if l.agreed == nil {
		return nil
	}
	return l.agreed(ctx).log(log)
}

// takeRows takes in rows, up to the end of the part with the row number most; of what cannot be read, those before it.
func (r *armsRead) takeRows(rows *predictionlog.Reader, t port.Trial, shares map[string]schemas.LogShare, most int) error {
	whole, part := r.clone(), "" // as of the last part that was read to its end
	var q loggedRequest
	for n := 0; ; n++ {
		row, err := rows.Next()
		if now := rows.Report().Last; now != part || err != nil {
			if part != "" && (err == nil || errors.Is(err, io.EOF)) {
				q.flush(r)
				r.Last = part
				whole = r.clone()
			}
			part = now
			if n >= most {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			*r = whole
			return err
		}
		cells := map[string][]byte{}
		for i, column := range rows.Columns() {
			if i < len(row.Cells) && row.Cells[i] != nil {
				cells[column] = row.Cells[i]
			}
		}
		arm := string(cells[predictions.ColumnArm])
		if arm != port.ArmBaseline && (arm != port.ArmCanary || string(cells[predictions.ColumnRelease]) != string(t.Key)) {
			continue
		}
		if at := string(cells[predictions.ColumnTime]); at != q.at || arm != q.arm {
			q.flush(r)
			q = loggedRequest{arm: arm, at: at}
		}
		q.add(cells, shares)
	}
	*r = whole
	return nil
}

// loggedRequest is a request, whose instances are rows one after another: it counts once.
type loggedRequest struct {
	arm, at string
	n, hits map[string]float64
}

func (q *loggedRequest) add(cells map[string][]byte, shares map[string]schemas.LogShare) {
	for name, s := range shares {
		v, err := strconv.ParseFloat(string(cells[s.Column]), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if q.n == nil {
			q.n, q.hits = map[string]float64{}, map[string]float64{}
		}
		q.n[name]++
		if s.Beyond(v) {
			q.hits[name]++
		}
	}
}

func (q *loggedRequest) flush(r *armsRead) {
	to := r.Base
	if q.arm == port.ArmCanary {
		to = r.Canary
	}
	for name, n := range q.n {
		s := to[name]
		s.Add(q.hits[name] / n)
		to[name] = s
	}
	*q = loggedRequest{}
}

func (l armsLog) path(name string) string { return filepath.Join(l.cache, name+".json") }

// recall is what was read of a trial before.
func (l armsLog) recall(name string, trial digest.Digest) armsRead {
	raw, err := os.ReadFile(l.path(name))
	var r armsRead
	if err != nil || json.Unmarshal(raw, &r) != nil || r.Trial != trial || r.Canary == nil || r.Base == nil {
		return fresh(trial)
	}
	return r
}

// keep keeps it for the next look; where that fails, it is read anew.
func (l armsLog) keep(name string, r armsRead) {
	raw, err := json.Marshal(r)
	if err != nil || os.MkdirAll(l.cache, 0o700) != nil {
		return
	}
	aside, err := os.CreateTemp(l.cache, "new-")
	if err != nil {
		return
	}
	_, wrote := aside.Write(raw)
	if closed := aside.Close(); wrote != nil || closed != nil || os.Rename(aside.Name(), l.path(name)) != nil {
		_ = os.Remove(aside.Name())
	}
}
