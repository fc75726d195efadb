// Progress: plain lines anywhere, and on a terminal a bar below them.

package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
)

// progress prints events as they come; safe for several goroutines.
type progress struct {
	w     io.Writer
	now   func() time.Time
	bar   bool // w is a terminal
	logs  bool // show the output of runs
	mu    sync.Mutex
	total int
	ended int
	begun map[string]time.Time
	shown map[string][]string      // the newest lines of what is under way or failed, as far as a failure repeats them
	held  map[string]string        // why steps are held, as a plan said that was shown
	comes map[string]data.Progress // data that is being fetched
	drawn bool
	last  time.Time     // of the newest line, where no bar tells that it goes on
	quiet time.Duration // after how long without one that is told
	quit  chan struct{}
	gone  chan struct{}
}

// start begins to draw; steps is how many are to come.
func (p *progress) start(steps int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total, p.begun = steps, map[string]time.Time{}
	p.last, p.quiet = p.now(), firstQuiet
	p.quit, p.gone = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.gone)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-p.quit:
				return
			case <-tick.C:
				p.mu.Lock()
				p.draw()
				p.remind(p.now())
				p.mu.Unlock()
			}
		}
	}()
}

// stop wipes the bar.
func (p *progress) stop() {
	if p.quit == nil {
		return
	}
	close(p.quit)
	<-p.gone
	p.quit = nil
	p.wipe()
}

// fetching takes note of how far data has come; what is drawn shows it.
func (p *progress) fetching(d data.Progress) {
	if !p.bar {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.comes == nil {
		p.comes = map[string]data.Progress{}
	}
	if p.comes[d.What] = d; d.Of > 0 && d.Bytes >= d.Of {
		delete(p.comes, d.What)
	}
}

// Without a bar, it is said after half a minute of silence what goes on, and then ever more seldom.
const (
	firstQuiet = 30 * time.Second
	mostQuiet  = 8 * time.Minute // some servers of CI end a job that says nothing for ten
)

// remind tells what is under way, where nothing was told for long.
func (p *progress) remind(now time.Time) {
	if p.bar || len(p.begun) == 0 || now.Sub(p.last) < p.quiet {
		return
	}
	for _, ref := range slices.Sorted(maps.Keys(p.begun)) {
		fmt.Fprintf(p.w, "  %s: goes on, for %s now\n", ref, now.Sub(p.begun[ref]).Round(time.Second))
	}
	p.last, p.quiet = now, min(2*p.quiet, mostQuiet)
}

// showEvent shows one event.
func (p *progress) showEvent(e execute.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	p.last, p.quiet = p.now(), firstQuiet
	ref := e.Ref.String()
	switch e.Kind {
	case execute.Began:
		if p.begun != nil {
			p.begun[ref] = e.Time
		}
		fmt.Fprintf(p.w, "  %s: %s\n", ref, shownLine(e.Text))
	case execute.Output:
		if e.Ref.Kind == "" {
			fmt.Fprintf(p.w, "%s\n", shownLine(e.Text))
		} else if p.logs {
			fmt.Fprintf(p.w, "  %s | %s\n", ref, shownLine(e.Text))
			p.keep(ref, shownLine(e.Text))
		}
	default:
		took := ""
		if since, ok := p.begun[ref]; ok {
			took = " (" + e.Time.Sub(since).Round(10*time.Millisecond).String() + ")"
			delete(p.begun, ref)
		}
		p.ended++
		text := ""
		switch {
		case e.Kind == execute.Held && p.held[ref] == e.Text:
			text = ", as the plan above says"
		case e.Kind != execute.Ended:
			text = ": " + indent(p.unshown(ref, strings.TrimPrefix(e.Text, ref+": ")))
		}
		if e.Kind != execute.Failed { // the command ends with what failed
			delete(p.shown, ref)
		}
		fmt.Fprintf(p.w, "%s %s: %s%s%s\n", marks[e.Kind], ref, e.Kind, took, text)
	}
	p.draw()
}

// mostRepeated is how many lines of a log are kept to tell what a failure repeats of them.
const mostRepeated = 200

func (p *progress) keep(ref, line string) {
	if p.shown == nil {
		p.shown = map[string][]string{}
	}
	all := append(p.shown[ref], line)
	p.shown[ref] = all[max(0, len(all)-mostRepeated):]
}

// unshown is text without the lines after its first that stand above already, as the log of ref.
func (p *progress) unshown(ref, text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	out := []string{first}
	for line := range strings.Lines(rest) {
		if !slices.ContainsFunc(p.shown[ref], func(shown string) bool { return sameLine(shown, shownLine(line)) }) {
			out = append(out, strings.TrimRight(line, "\n"))
		}
	}
	return strings.Join(out, "\n")
}

// sameLine tells whether line is one that was shown: what a failure repeats has no path of the run's own folder in it.
func sameLine(shown, line string) bool {
	i, j := 0, 0
	for i < min(len(line), len(shown)) && shown[i] == line[i] {
		i++
	}
	for j < min(len(line), len(shown))-i && shown[len(shown)-1-j] == line[len(line)-1-j] {
		j++
	}
	folder := shown[i : len(shown)-j]
	return i+j == len(line) && (folder == "" || filepath.IsAbs(folder) && strings.HasSuffix(folder, "/"))
}

// said takes note of what p, which was shown, says that is held.
func (p *progress) said(of plan.Plan) {
	p.held = map[string]string{}
	for _, s := range of.Work() {
		if s.Held != "" {
			p.held[s.Ref.String()] = s.Held
		}
	}
}

// briefly is the error of r without what stands above already of the run that failed.
func (p *progress) briefly(r pass.Result) error {
	err := r.Err()
	for _, o := range r.Outcomes {
		if o.End == execute.Failed {
			return brief{err, p.unshown(o.Ref.String(), err.Error())}
		}
	}
	return err
}

// brief is an error in fewer words.
type brief struct {
	error
	text string
}

func (b brief) Error() string { return b.text }
func (b brief) Unwrap() error { return b.error }

var marks = map[execute.EventKind]string{execute.Ended: "+", execute.Kept: "=", execute.Held: "!", execute.Failed: "x"}

const barWidth = 24

// wipe empties the line that a terminal's cursor is in.
const wipe = "\r\x1b[K"

func (p *progress) draw() {
	if !p.bar || p.total == 0 || p.quit == nil {
		return
	}
	p.wipe()
	full := barWidth * min(p.ended, p.total) / p.total
	var now []string
	for ref, since := range p.begun {
		now = append(now, fmt.Sprintf("%s %s", ref, p.now().Sub(since).Round(time.Second)))
	}
	slices.Sort(now)
	for _, what := range slices.Sorted(maps.Keys(p.comes)) {
		if d := p.comes[what]; d.Of > 0 {
			now = append(now, harmless.Line(what)+" "+share(d))
		} else {
			now = append(now, harmless.Line(what)+" "+bytesOf(d.Bytes))
		}
	}
	line := fmt.Sprintf("[%s%s] %d/%d %s", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), p.ended, p.total, strings.Join(now, ", "))
	if len(line) > 78 {
		line = line[:75] + "..."
	}
	fmt.Fprint(p.w, line)
	p.drawn = true
}

func (p *progress) wipe() {
	if p.drawn {
		_ = harmless.Steer(p.w, wipe)
		p.drawn = false
	}
}

// shownLine is a line of a log as it is shown, its tabs as blanks.
func shownLine(s string) string {
	return harmless.Line(strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\t", "    "))
}

// indent sets the lines after the first under it.
func indent(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = shownLine(lines[i])
	}
	return strings.Join(lines, "\n    ")
}
