// The question that the demo puts to a deployed model.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"

	"github.com/vishwaops/vishwa/examples"
	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// question asks what ref serves, and shows the answer with who gave it.
func (d *demonstration) question(ref string) error {
	raw, err := d.run(d.ctx, 0, true, d.self, "status", "--format", "json")
	if err != nil {
		return err
	}
	var all []standing
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		return fault.New(fault.Internal, "read status: %w", err)
	}
	url := ""
	for _, s := range all {
		if s.Ref.String() == ref {
			url = s.URL
		}
	}
	body, err := examples.Files.ReadFile(path.Join(example, "steps", "ask.json"))
	if err != nil {
		return fault.New(fault.Internal, "read the question: %w", err)
	}
	url += "/v2/models/enrollment/infer"
	fmt.Fprintf(d.a.out, "$ curl -i -d @../ask.json %s\n", url)
	if err := write(path.Join(d.dir, "ask.json"), body, 0o644); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(d.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Internal, "ask %s: %w", ref, err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return fault.New(fault.Transient, "ask %s: %w", ref, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return fault.New(fault.Transient, "read the answer of %s: %w", ref, err)
	}
	for _, name := range []string{server.HeaderModel, server.HeaderRelease} {
		fmt.Fprintf(d.a.out, "%s: %s\n", name, answer.Header.Get(name))
	}
	fmt.Fprintf(d.a.out, "%s\n", bytes.TrimSpace(text))
	if answer.StatusCode != http.StatusOK {
		return fault.New(fault.Internal, "%s answered %s", ref, answer.Status)
	}
	return nil
}
