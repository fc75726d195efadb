// vishwa predictions: what deployments were asked and answered, and what came of it.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/internal/terminal"
	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// window is which rows of a log are read.
type window struct {
	since, until string
	limit        int
	follow       bool
	format       string
	path         string // of a log that is no deployment's of this repository
	time, id     string // columns of it
	shadow       bool   // with answers that nobody got
}

// flags gives cmd what says which rows are read.
func (w *window) flags(cmd *cobra.Command, since, what string) {
	cmd.Flags().StringVar(&w.since, "since", since, what+" from `TIME` on: RFC 3339, a date, or a span ago such as 36h or 2w")
	cmd.Flags().StringVar(&w.until, "until", "", what+" before `TIME`")
	cmd.Flags().StringVar(&w.path, "path", "", "read the log in this `FOLDER`, below s3://bucket/prefix, or in a topic, kafka://HOST:PORT/TOPIC, in place of a deployment's: Parquet, CSV or JSON lines")
	cmd.Flags().StringVar(&w.time, "time", "", "the `COLUMN` of that log with the time of a row; - where it has none")
	cmd.Flags().StringVar(&w.id, "id", "", "the `COLUMN` of that log with the id of a row; - where it has none")
	formats(cmd, &w.format, "text", "json")
}

// deployment is the one argument, where no path is given.
func (w *window) deployment(cmd *cobra.Command, args []string) error {
	switch {
	case w.path == "" && len(args) != 1:
		return usage(cmd, errors.New("which log? name a deployment, or give --path"))
	case w.path != "" && len(args) > 0:
		return usage(cmd, fmt.Errorf("%s and --path are two logs; name one", args[0]))
	}
	return nil
}

func (a *cli) predictionsVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "predictions", Short: "Read what deployments were asked and what they answered", Args: cobra.NoArgs,
		Long: `Read the log of a deployment that declares spec.log: one row an instance, with its
features, the prediction, and which model gave it.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.predictionsShow(), a.predictionsLabels())
	return cmd
}

func (a *cli) predictionsShow() *cobra.Command {
	var w window
	cmd := &cobra.Command{
		Use:   "show [DEPLOYMENT]",
		Short: "Show the rows of a prediction log",
		Long: `Show the newest rows of a deployment's prediction log, the oldest of them first. A row
appears when it is written, at the latest after spec.log.every. After the rows come the
problems of the log: dropped requests, ids that came twice, columns whose type changed.
With --format json each row is a line.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.deployment(cmd, args); err != nil {
				return err
			}
			q, err := a.query(cmd, w)
			if err != nil {
				return err
			}
			objects, q, done, err := a.predictionLog(cmd, args, w, q)
			if err != nil {
				return err
			}
			defer done()
			return a.showPredictions(cmd.Context(), objects, q, w)
		},
	}
	cmd.Flags().IntVarP(&w.limit, "limit", "n", 20, "the newest `N` rows of these; 0 shows all")
	cmd.Flags().BoolVar(&w.shadow, "shadow", false, "with the answers of a shadow, which nobody got")
	cmd.Flags().BoolVarP(&w.follow, "follow", "f", false, "go on with rows that come, until you interrupt")
	w.flags(cmd, "1d", "rows")
	return cmd
}

func (a *cli) query(cmd *cobra.Command, w window) (q predictionlog.Query, err error) {
	q.Now, q.Time, q.ID, q.Shadow = a.now(), w.time, w.id, w.shadow
	if q.From, err = a.moment(cmd, w.since); err == nil {
		q.To, err = a.moment(cmd, w.until)
	}
	if err == nil && w.limit < 0 {
		err = usage(cmd, fmt.Errorf("--limit %d: want 0 or more", w.limit))
	}
	return q, err
}

// predictionLog opens a log: of a deployment, named with its kind or without, or at a path.
// The caller calls done.
func (a *cli) predictionLog(cmd *cobra.Command, args []string, w window, q predictionlog.Query) (objects port.Objects, _ predictionlog.Query, done func(), err error) {
	if w.path != "" {
		env, err := a.env()
		if err != nil {
			return nil, q, nil, err
		}
		at := w.path
		if strings.HasPrefix(at, "kafka://") {
			return a.topicLog(cmd, env, w, q)
		}
		if !strings.Contains(at, "://") {
			at = a.path(at)
		}
		objects, err = server.OpenLog(at, env)
		return objects, q, func() {}, err
	}
	name := args[0]
	if !strings.Contains(name, "/") {
		name = string(schemas.KindsThat(func(t schemas.Traits) bool { return t.Serves })[0]) + "/" + name
	}
	refs, err := parseRefs(cmd, []string{name})
	if err != nil {
		return nil, q, nil, err
	}
	s, err := a.open(cmd.Context(), reading)
	if err != nil {
		return nil, q, nil, err
	}
	objects, q.Prefix, err = a.logOf(cmd.Context(), s, refs[0], q.From)
	if err == nil && w.follow && objects != nil {
		if _, written := objects.(port.Bucket); !written { // by part: what is brought out of a topic does not grow
			err = usage(cmd, errors.New("--follow: a topic is read as far as it goes now; leave it out"))
		}
	}
	if err != nil {
		s.close()
		return nil, q, nil, err
	}
	return objects, q, s.close, nil
}

// topicLog opens what a topic holds now.
func (a *cli) topicLog(cmd *cobra.Command, env port.Env, w window, q predictionlog.Query) (port.Objects, predictionlog.Query, func(), error) {
	if w.follow {
		return nil, q, nil, usage(cmd, errors.New("--follow: a topic is read as far as it goes now; leave it out"))
	}
	dir, err := os.MkdirTemp("", "vishwa-topic-")
	if err != nil {
		return nil, q, nil, fault.WithHint(fault.New(fault.Transient, "read the topic: %w", err), "make room in the folder for temporary files (TMPDIR), or name a shorter time: --since")
	}
	remove := func() { os.RemoveAll(dir) }
	if err := app.FetchTopic(cmd.Context(), env, w.path, dir, q.From, q.To); err != nil {
		remove()
		return nil, q, nil, err
	}
	objects, err := server.OpenLog(dir, env)
	if err != nil {
		remove()
	}
	return objects, q, remove, err
}

func (a *cli) logOf(ctx context.Context, s *station, ref schemas.Ref, from time.Time) (port.Objects, string, error) {
	in, err := s.Intent(ctx)
	if err != nil {
		return nil, "", err
	}
	n := in.Graph.Node(ref)
	if n == nil {
		return nil, "", fault.WithHint(fault.New(fault.Missing, "%s is not declared", ref), "vishwa status lists what is")
	}
	logs, serves := n.Decl.Spec.(schemas.Logged)
	if !serves {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "%s serves nothing: a log of predictions is of a deployment", ref), "vishwa status lists the deployments")
	}
	env, err := a.env()
	if err != nil {
		return nil, "", err
	}
	return server.OpenPredictions(s.Paths.Serving(), ref.Name, logs.Logs(), server.Access{Env: env, From: from})
}

func (a *cli) showPredictions(ctx context.Context, objects port.Objects, q predictionlog.Query, w window) error {
	for first := true; ; first = false {
		report, err := a.printRows(ctx, objects, q, w)
		if w.follow && ctx.Err() != nil {
			return exitCode(exitInterrupted)
		}
		if err != nil {
			return err
		}
		if first || report.Rows > 0 {
			a.sayReport(report, first && w.format == "text")
		}
		if !w.follow {
			return nil
		}
		if report.Last != "" {
			q.After = report.Last
		}
		w.limit, q.Now = 0, a.now()
		select {
		case <-ctx.Done():
			return exitCode(exitInterrupted)
		case <-time.After(time.Second):
		}
	}
}

// printRows prints the rows of a query, the newest of them where so many are asked for.
func (a *cli) printRows(ctx context.Context, objects port.Objects, q predictionlog.Query, w window) (predictionlog.Report, error) {
	r := predictionlog.Read(ctx, objects, q)
	defer r.Close()
	var kept []string // a ring of the newest
	at := 0
	out := a.out
	if w.format == "json" {
		out = terminal.JSON(a.out)
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r.Report(), err
		}
		text := rowText(r.Columns(), row)
		if w.format == "json" {
			text = rowJSON(r.Columns(), row)
		}
		switch {
		case w.limit == 0:
			if _, err := fmt.Fprintln(out, text); err != nil {
				return r.Report(), err
			}
		case len(kept) < w.limit:
			kept = append(kept, text)
		default:
			kept[at] = text
			at = (at + 1) % w.limit
		}
	}
	for i := range kept {
		if _, err := fmt.Fprintln(out, kept[(at+i)%len(kept)]); err != nil {
			return r.Report(), err
		}
	}
	return r.Report(), nil
}

// shortColumns stand at the beginning of a line without their names.
var shortColumns = []string{predictions.ColumnTime, predictions.ColumnID, predictions.ColumnStatus}

// hiddenColumns are the same for most rows, or long: they are in the JSON form.
var hiddenColumns = map[string]bool{predictions.ColumnTime: true, predictions.ColumnID: true, predictions.ColumnStatus: true, predictions.ColumnModel: true, predictions.ColumnRelease: true,
	predictions.ColumnArm: true, predictions.ColumnSampling: true, predictions.ColumnPath: true, predictions.ColumnLatency: true, predictions.ColumnRequest: true, predictions.ColumnResponse: true, predictions.ColumnEncoding: true}

func rowText(columns []string, row *table.Row) string {
	cell := func(name string) string {
		for i, c := range columns {
			if c == name && i < len(row.Cells) && row.Cells[i] != nil {
				return string(row.Cells[i])
			}
		}
		return "-"
	}
	var out []string
	for _, name := range shortColumns {
		out = append(out, plainCell(cell(name)))
	}
	for i, c := range row.Cells {
		if c != nil && !hiddenColumns[columns[i]] {
			out = append(out, plainCell(strings.TrimPrefix(columns[i], predictions.FeaturePrefix))+"="+plainCell(string(c)))
		}
	}
	return strings.Join(out, "  ")
}

// plainCell is a value on one line, quoted where it would not be read as one.
func plainCell(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	if strings.ContainsAny(s, " \t\"=") || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// rowJSON is a row as a JSON object, numbers and truths as such.
func rowJSON(columns []string, row *table.Row) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range row.Cells {
		if c == nil {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(jsonText(columns[i]))
		b.WriteByte(':')
		if !row.Text[i] && jsonScalar(c) {
			b.Write(c)
		} else {
			b.Write(jsonText(string(c)))
		}
	}
	b.WriteByte('}')
	return b.String()
}

// jsonText is a text in quotes.
func jsonText(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(terminal.JSON(&b))
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a text always can be
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// jsonScalar tells whether a cell is a number or a truth as JSON has them.
func jsonScalar(c []byte) bool {
	return json.Valid(c) && (c[0] == '-' || c[0] >= '0' && c[0] <= '9' || c[0] == 't' || c[0] == 'f')
}

// sayReport tells what is odd about a log, and with all how much there is of it.
func (a *cli) sayReport(r predictionlog.Report, all bool) {
	if all {
		fmt.Fprintf(a.err, "%s in %s.\n", plural.Of(r.Rows, "row"), plural.Of(int64(r.Parts), "file"))
	}
	a.counts(a.err, []count{{"Not logged, as more came than could be written", r.Dropped}, {"Left out, as their time is in the future (a clock is wrong)", r.Future},
		{"Without a time that can be read", r.Timeless}, {"With an id that came before", r.Duplicates},
		{"Left out, as they are answers of a shadow, which nobody got", r.Shadow}, {"Files left out, as they have answers of a shadow, which nobody got (--shadow shows them)", r.ShadowParts}})
	if r.Unread > 0 {
		fmt.Fprintf(a.err, "%s of parts left out: there are too many others.\n", plural.Of(r.Unread, "column"))
	}
	for _, column := range slices.Sorted(maps.Keys(r.Retyped)) {
		fmt.Fprintf(a.err, "The type of %s changed: %s.\n", column, r.Retyped[column])
	}
	for _, why := range r.Unreadable {
		fmt.Fprintf(a.err, "Not read: %s\n", why)
	}
}

// labelling is how labels are joined to a log.
type labelling struct {
	from    string
	columns predictionlog.LabelColumns
	within  span
}
