// How a server's models are, as its REST interface says (tensorflow_serving/model_servers/http_rest_api_handler.cc).

package tfserving

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

const mostAnswer = 4 << 20

// address is where a model's label is asked.
func address(url, name, label string) string {
	out := strings.TrimRight(url, "/") + "/v1/models/" + name
	if label != "" {
		out += "/labels/" + label
	}
	return out
}

// ask returns the versions of a model, or of a label; a model or a label that the server does not have has none.
func (s *server) ask(ctx context.Context, url string) ([]version, error) {
	within, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	req, err := http.NewRequestWithContext(within, http.MethodGet, url, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "ask the server: %w", err)
	}
	if err := s.o.Env.MayAsk(url); err != nil {
		return nil, err
	}
	if s.silent != nil {
		if why, did := s.silent.Load(req.URL.Host); did {
			return nil, why.(error)
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		late := false
		if err = httpx.Failed(within, err); fault.Of(err) == fault.Cancelled {
			err, late = fault.New(fault.Transient, "it did not answer within %s", answers), ctx.Err() == nil
		}
		err = fault.WithHint(fault.New(fault.Of(err), "ask the server how it is: %w", err), "see that it runs, and that its REST interface is at the url of spec.modelServers (--rest_api_port)")
		if late && s.silent != nil {
			s.silent.Store(req.URL.Host, err)
		}
		return nil, err
	}
	defer httpx.Drain(resp)
	raw, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	if err != nil || len(raw) > mostAnswer {
		return nil, fault.WithHint(fault.New(fault.Transient, "ask the server how it is: its answer ended early, or is longer than %d bytes", mostAnswer), "see that url of spec.modelServers is that of its REST interface (--rest_api_port)")
	}
	switch {
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusBadRequest: // versions of another server say that of a label
		return nil, nil
	case resp.StatusCode != http.StatusOK:
		return nil, fault.WithHint(fault.New(httpx.KindOf(resp.StatusCode), "ask the server how it is: %s", resp.Status), "see the log of the model server, and that url of spec.modelServers is that of its REST interface (--rest_api_port)")
	}
	var said struct {
		Versions []version `json:"model_version_status"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "what answers is no TensorFlow Serving: %w", err), "correct url of spec.modelServers: that of its REST interface (--rest_api_port)")
	}
	for i := range said.Versions {
		v := &said.Versions[i].Status
		v.Code, v.Message = harmless.Line(v.Code), harmless.Line(v.Message)
	}
	return said.Versions, nil
}

// of is the version of a number among those that are seen.
func of(seen []version, number int64) version {
	for _, v := range seen {
		if v.Number == number {
			return v
		}
	}
	return version{}
}

// until asks for the model's versions until they are as wanted. A server that is away for a moment is asked again.
func (w *work) until(ctx context.Context, within time.Duration, what string, is func(seen []version) (bool, error)) error {
	s := w.server
	for limit := s.o.Env.Now().Add(within); ; {
		seen, err := s.ask(ctx, address(w.place.At.URL, w.name, ""))
		late := s.o.Env.Now().After(limit)
		if ctx.Err() != nil {
			return fault.New(fault.Cancelled, "wait until %s: %w", what, ctx.Err())
		}
		if err != nil && (fault.Of(err) != fault.Transient || late) {
			return err
		}
		if err == nil {
			if yes, err := is(seen); yes || err != nil {
				return err
			}
		}
		if late {
			return &lateError{fault.WithHint(fault.New(fault.Transient, "wait until %s: not after %s", what, within),
				"see what the server says; it reads models.config anew where it is begun with --model_config_file_poll_wait_seconds, and finds the folder by the path that seenAs of spec.modelServers says")}
		}
		if err := httpx.Sleep(ctx, s.o.Pace); err != nil {
			return fault.New(fault.Cancelled, "wait until %s: %w", what, err)
		}
	}
}

// lateError is something that did not come in its time.
type lateError struct{ error }

func (e *lateError) Unwrap() error { return e.error }
