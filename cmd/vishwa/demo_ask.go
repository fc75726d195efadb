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

// served is where ref answers.
func (d *demonstration) served(ref string) (string, error) {
	raw, err := d.run(d.ctx, 0, true, d.self, "status", "--format", "json")
	if err != nil {
		return "", err
	}
	var all []standing
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		return "", fault.New(fault.Internal, "read status: %w", err)
	}
	url := ""
	for _, s := range all {
		if s.Ref.String() == ref {
			url = s.URL
		}
	}
	return url + "/v2/models/enrollment/infer", nil
}

// question asks what ref serves, and shows the answer with who gave it.
func (d *demonstration) question(ref string) error {
	url, err := d.served(ref)
	if err != nil {
		return err
	}
	body, err := examples.Files.ReadFile(path.Join(example, "steps", "ask.json"))
	if err != nil {
		return fault.New(fault.Internal, "read the question: %w", err)
	}
	fmt.Fprintf(d.a.out, "$ curl -i -d @../ask.json %s\n", url)
	if err := write(path.Join(d.dir, "ask.json"), body, 0o644); err != nil {
		return err
	}
	answer, err := d.post(url, body)
	if err != nil {
		return err
	}
	for _, name := range []string{server.HeaderModel, server.HeaderRelease} {
		fmt.Fprintf(d.a.out, "%s: %s\n", name, answer.header.Get(name))
	}
	fmt.Fprintf(d.a.out, "%s\n", bytes.TrimSpace(answer.body))
	return nil
}

// answered is what a deployment said.
type answered struct {
	header http.Header
	body   []byte
}

// post asks with body, and insists on an answer.
func (d *demonstration) post(url string, body []byte) (out answered, err error) {
	request, err := http.NewRequestWithContext(d.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return out, fault.New(fault.Internal, "ask the model: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	got, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return out, fault.WithHint(fault.New(fault.Transient, "ask the model: %w", err), "see with vishwa status, in the folder of the demo, whether it is served")
	}
	defer got.Body.Close()
	out.header = got.Header
	if out.body, err = io.ReadAll(io.LimitReader(got.Body, 1<<20)); err != nil {
		return out, fault.WithHint(fault.New(fault.Transient, "read the model's answer: %w", err), "see with vishwa logs, in the folder of the demo, what it printed")
	}
	if got.StatusCode != http.StatusOK {
		return out, fault.New(fault.Internal, "the model answered %s: %.200q", got.Status, out.body)
	}
	return out, nil
}
