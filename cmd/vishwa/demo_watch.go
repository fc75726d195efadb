// The demo's end: what is deployed is watched. Students of another kind than the model knows are
// asked about; the monitor finds that, and proposes to train again with what the register lists by then.

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/examples"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	usualStudents   = 40   // asked about, as the model was trained on
	eveningStudents = 2000 // of a course that it does not know
	studentsAtOnce  = 100  // in a request
	// logPatience is how long the demo waits for the log of predictions, which is written each second.
	logPatience = 5 * time.Minute
	watchedRef  = "deployment/enrollment-staging"
)

func (d *demonstration) registered() error {
	d.narrate("From now on the students come from a register on the web (in this process), pinned as it lists them today. They are the same, so nothing is made anew.")
	raw, err := os.ReadFile(filepath.Join(d.repo, "data", "students.csv"))
	if err != nil {
		return fault.New(fault.Internal, "read the students: %w", err)
	}
	if err := d.register.Listen("students.csv", raw); err != nil {
		return fault.New(fault.Transient, "begin the register: %w", err)
	}
	for _, args := range [][]string{{"git", "rm", "-q", "data/students.csv"}, {d.self, "data", "init"}, {d.self, "data", "remote", "add", "-d", "store", filepath.Join(d.dir, "store")}} {
		if _, err := d.run(d.ctx, 0, true, args...); err != nil {
			return err
		}
	}
	step, err := fs.Sub(examples.Files, path.Join(example, "steps", "register"))
	if err != nil {
		return fault.New(fault.Internal, "open the example: %w", err)
	}
	if err := d.overlay(step, "."); err != nil {
		return err
	}
	file := filepath.Join(d.repo, "vishwa", "data.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return fault.New(fault.Internal, "read the step: %w", err)
	}
	if err := write(file, bytes.ReplaceAll(text, []byte("http://register.example.com/students.csv"), []byte(d.register.URL)), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{d.self, "data", "refresh", "--allow", "127.0.0.1"}, {d.self, "data", "push"}} {
		if _, err := d.run(d.ctx, 0, false, args...); err != nil {
			return err
		}
	}
	return d.commit("Take the students from the register")
}

func (d *demonstration) usual() error {
	if _, err := d.run(d.ctx, 0, true, d.self, "apply", "--yes"); err != nil {
		return err
	}
	d.narrate(fmt.Sprintf("Staging logs what it is asked, without what is personal, and a Monitor compares that with the students that the model was trained on. "+
		"%d students as those are asked about: scores of so few rows alarm though nothing has changed, so the verdict is that there is too little to tell.", usualStudents))
	rows, err := readRows(d.register.Rows())
	if err != nil {
		return err
	}
	if err := d.askAbout(rows[:1+usualStudents]); err != nil {
		return err
	}
	if err := d.logged(usualStudents); err != nil {
		return err
	}
	return d.expect("insufficient", "monitor", "run")
}

func (d *demonstration) evening() error {
	d.narrate(fmt.Sprintf("An evening course begins: %d students who have jobs, study less, attend less, and enroll all the same. The register lists them, and staging is asked about them.", eveningStudents))
	made, err := d.run(d.ctx, 0, true, "python3", "data/generate.py", "--evening", strconv.Itoa(eveningStudents))
	if err != nil {
		return err
	}
	rows, err := readRows([]byte(made))
	if err != nil {
		return err
	}
	if err := d.askAbout(rows); err != nil {
		return err
	}
	if err := d.logged(usualStudents + eveningStudents); err != nil {
		return err
	}
	_, listed, _ := strings.Cut(made, "\n")
	d.register.Add([]byte(listed))
	return nil
}

func (d *demonstration) proposed() error {
	d.narrate("The monitor finds the drift, and proposes to train again with the students that the register lists now. A controller does this on the monitor's schedule and opens a pull request " +
		"(make demo-pr shows it); without one, --propose commits it to a branch.")
	if err := d.expect("drift", "monitor", "run", "--propose", "--push", "--allow", "127.0.0.1"); err != nil {
		return err
	}
	const branch = "vishwa/retrain/main/enrollment"
	for _, args := range [][]string{
		{"git", "fetch", "-q", "origin", branch + ":" + branch}, {"git", "log", "-1", "--format=%an%n%n%B", branch},
		{"git", "diff", "--stat", "main", branch}, {"git", "merge", "-q", "--ff-only", branch}, {"git", "push", "-q", "origin", "main"}, {d.self, "data", "pull"},
	} {
		if _, err := d.run(d.ctx, 0, false, args...); err != nil {
			return err
		}
	}
	return nil
}

func (d *demonstration) retrained() error {
	d.narrate("Merged. Champion (the model that is served) and challenger (the new one) are scored on the same students, on those of now and on those of before. Staging gets the challenger, and production waits for Bob (exit code 5).")
	if _, err := d.run(d.ctx, exitHeld, false, d.self, "apply", "--yes"); err != nil {
		return err
	}
	file := filepath.Join(d.dir, "retrained.json")
	for _, args := range [][]string{{"plan", "--out", file}, {"approve", file, "--key", d.bob.key}, {"apply", file}} {
		if _, err := d.run(d.ctx, 0, false, append([]string{d.self}, args...)...); err != nil {
			return err
		}
	}
	return d.expect("of the champion", "metrics")
}

// readRows are those of a CSV file, its header first.
func readRows(raw []byte) ([][]string, error) {
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		return nil, fault.New(fault.Internal, "read the students: %w", err)
	}
	return rows, nil
}

// askAbout asks staging about students, some at once: one named tensor a field.
func (d *demonstration) askAbout(rows [][]string) error {
	header, rows := rows[0], rows[1:]
	url, err := d.served(watchedRef)
	if err != nil {
		return err
	}
	for len(rows) > 0 {
		some := rows[:min(studentsAtOnce, len(rows))]
		rows = rows[len(some):]
		var inputs []any
		for i, name := range header {
			if name != "student_id" && name != "enrolled" {
				inputs = append(inputs, fieldOf(name, i, some))
			}
		}
		body, err := json.Marshal(map[string]any{"inputs": inputs})
		if err != nil {
			return fault.New(fault.Internal, "write a request: %w", err)
		}
		if _, err := d.post(url, body); err != nil {
			return err
		}
	}
	return nil
}

// fieldOf is column i of rows as a tensor; what is empty is not known.
func fieldOf(name string, i int, rows [][]string) map[string]any {
	as, data := "BYTES", []any{}
	for _, row := range rows {
		x, err := strconv.ParseFloat(row[i], 64)
		switch {
		case row[i] == "":
			data = append(data, nil)
		case err == nil:
			as, data = "FP64", append(data, x)
		default:
			data = append(data, row[i])
		}
	}
	return map[string]any{"name": name, "datatype": as, "shape": []int{len(rows)}, "data": data}
}

// logged waits until so many students are in the log.
func (d *demonstration) logged(n int) error {
	for until := d.a.now().Add(logPatience); ; time.Sleep(200 * time.Millisecond) {
		out, err := d.run(d.ctx, 0, true, d.self, "predictions", "show", "enrollment-staging", "--format", "json", "--limit", "0")
		if err != nil {
			return err
		}
		if strings.Count(out, "\n") >= n {
			return nil
		}
		if d.a.now().After(until) {
			return fault.New(fault.Internal, "the log of predictions has %d rows, and not %d", strings.Count(out, "\n"), n)
		}
	}
}
