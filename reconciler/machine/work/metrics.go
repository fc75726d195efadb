// Metrics are what a training says of its model: numbers by dotted name. They
// decide what is deployed, so what cannot be compared is refused by its name
// instead of passed over.

package work

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	metricsSize  = 1 << 20 // bytes
	metricsCount = 4096
	metricsDepth = 32
)

// ParseMetrics reads a metrics file, JSON or YAML: one object whose numbers, at
// any depth, become values by dotted name; elements of lists go by their index.
// Booleans and texts stand beside the numbers for people and are left out.
// Refused, by name, are NaN and infinity however they are spelled, null, names
// that come twice, and a file without any number.
func ParseMetrics(raw []byte) (map[string]float64, error) {
	m := metrics{}
	if err := m.parse(raw); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read metrics: %w", err),
			`Write one JSON object of finite numbers to the file that VISHWA_METRICS names, such as {"test": {"roc_auc": 0.91}}`)
	}
	return m, nil
}

type metrics map[string]float64

func (m metrics) parse(raw []byte) error {
	if len(raw) > metricsSize {
		return fmt.Errorf("the file is larger than %d KiB", metricsSize>>10)
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(raw)) == 0 {
		return errors.New("the file is empty")
	}
	err := errNotJSON
	if bytes.TrimSpace(raw)[0] == '{' {
		err = m.json(raw)
	}
	if errors.Is(err, errNotJSON) {
		clear(m)
		err = m.yaml(raw)
	}
	if err == nil && len(m) == 0 {
		err = errors.New("the file holds no number")
	}
	return err
}

// CheckMetrics holds metrics that were read elsewhere against the same rules.
func CheckMetrics(all map[string]float64) error {
	m := metrics{}
	for name, v := range all {
		if name == "" || len(name) > metricsSize || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fault.New(fault.Corrupt, "a metric has the name %q", name)
		}
		if err := m.setMetric(name, v); err != nil {
			return fault.New(fault.Corrupt, "metrics: %w", err)
		}
	}
	if len(m) == 0 {
		return fault.New(fault.Corrupt, "there are no metrics")
	}
	return nil
}

// put keeps one number.
func (m metrics) setMetric(name string, v float64) error {
	switch _, twice := m[name]; {
	case math.IsNaN(v):
		return fmt.Errorf("%s is NaN, which is not a number", name)
	case math.IsInf(v, 0):
		return fmt.Errorf("%s is infinite, or too large for a number of 64 bits", name)
	case twice:
		return fmt.Errorf("%s comes twice", name)
	case len(m) >= metricsCount:
		return fmt.Errorf("the file holds more than %d numbers", metricsCount)
	}
	m[name] = v
	return nil
}

// text passes over what is written for people, but not over a number in disguise.
func text(name, s string) error {
	switch strings.ToLower(strings.TrimLeft(strings.TrimSpace(s), "+-.")) {
	case "nan":
		return fmt.Errorf("%s is NaN, which is not a number", name)
	case "inf", "infinity":
		return fmt.Errorf("%s is infinite", name)
	}
	return nil
}

func under(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func child(path, name string, seen map[string]bool, depth int) (string, error) {
	full := under(path, name)
	switch {
	case name == "":
		return "", fmt.Errorf("a name below %q is empty", path)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("the name %q holds control characters", name)
	case seen[name]:
		return "", fmt.Errorf("%s comes twice", full)
	case depth > metricsDepth:
		return "", fmt.Errorf("%s is nested more than %d deep", full, metricsDepth)
	}
	seen[name] = true
	return full, nil
}

var errNotJSON = errors.New("no JSON")

// json reads token by token, because encoding/json keeps the last of two equal
// names silently and cannot say where the NaN stands that Python's json.dump writes.
func (m metrics) json(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := m.jsonValue(d, raw, "", 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

func (m metrics) jsonValue(d *json.Decoder, raw []byte, path string, depth int) error {
	t, err := d.Token()
	if err != nil {
		rest := bytes.TrimLeft(raw[min(int64(len(raw)), d.InputOffset()):], " \t\r\n:,")
		for _, odd := range []string{"NaN", "Infinity", "-Infinity"} {
			if bytes.HasPrefix(rest, []byte(odd)) {
				return text(path, odd)
			}
		}
		return errNotJSON
	}
	switch t := t.(type) {
	case json.Delim:
		return m.jsonNested(d, raw, path, depth, t)
	case json.Number:
		v, err := strconv.ParseFloat(string(t), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return errNotJSON
		}
		return m.setMetric(path, v)
	case string:
		return text(path, t)
	case nil:
		return fmt.Errorf("%s is null, which is not a number", path)
	default:
		return nil
	}
}

func (m metrics) jsonNested(d *json.Decoder, raw []byte, path string, depth int, open json.Delim) error {
	seen := map[string]bool{}
	for i := 0; d.More(); i++ {
		name := strconv.Itoa(i)
		if open == '{' {
			t, err := d.Token()
			s, ok := t.(string)
			if err != nil || !ok {
				return errNotJSON
			}
			name = s
		}
		full, err := child(path, name, seen, depth)
		if err != nil {
			return err
		}
		if err := m.jsonValue(d, raw, full, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

func (m metrics) yaml(raw []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		return fmt.Errorf("the file is neither JSON nor YAML: %w", err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("the file holds more than one document")
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return errors.New("the file is not an object of names and numbers")
	}
	return m.yamlValue(doc.Content[0], "", 0)
}

func (m metrics) yamlValue(n *yaml.Node, path string, depth int) error {
	seen := map[string]bool{}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind != yaml.ScalarNode || n.Content[i].Tag == "!!merge" {
				return fmt.Errorf("a name below %q is not text", path)
			}
			full, err := child(path, n.Content[i].Value, seen, depth)
			if err == nil {
				err = m.yamlValue(n.Content[i+1], full, depth+1)
			}
			if err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for i, e := range n.Content {
			full, err := child(path, strconv.Itoa(i), seen, depth)
			if err == nil {
				err = m.yamlValue(e, full, depth+1)
			}
			if err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		return m.yamlScalar(n, path)
	default:
		return fmt.Errorf("%s is an alias: write the value itself", path)
	}
	return nil
}

func (m metrics) yamlScalar(n *yaml.Node, path string) error {
	switch n.ShortTag() {
	case "!!int", "!!float":
		var v float64
		if err := n.Decode(&v); err != nil {
			return fmt.Errorf("%s is not a number: %q", path, n.Value)
		}
		return m.setMetric(path, v)
	case "!!null":
		return fmt.Errorf("%s is null, which is not a number", path)
	case "!!bool":
		return nil
	default:
		return text(path, n.Value)
	}
}
