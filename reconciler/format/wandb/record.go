// The records that say what a run logged. Numbers of fields are those of wandb_internal.proto.

package wandb

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vishwaops/vishwa/reconciler/format/wire"
)

// Fields of Record.
const (
	recordHistory = 2
	recordSummary = 3
	recordConfig  = 5
	recordRun     = 17
	recordExit    = 18
)

// Visitor is told what a log holds, in its order. A name of several parts is joined by dots.
type Visitor struct {
	// Config is a parameter: a string, a number or a boolean as text.
	Config func(name, value string) error
	// History is a number of a step; seconds are since the beginning of 1970, or 0.
	History func(name string, step int64, seconds, value float64) error
	// Summary is the value that stands for name at the end.
	Summary func(name string, value float64) error
}

// Read tells v what the log holds. A log that its run did not finish is refused.
func Read(r io.Reader, v Visitor) error {
	finished := false
	var steps int64
	media := media{}
	err := records(r, func(b []byte) error {
		return wire.Fields(b, unreadable, func(f wire.Field) error {
			switch f.Num {
			case recordHistory:
				err := history(f.Data, steps, media, v)
				steps++
				return err
			case recordSummary:
				all, err := media.numbers(f.Data)
				for _, n := range all {
					if err == nil && !strings.HasPrefix(n.name, "_") { // W&B's own
						err = v.Summary(n.name, n.value)
					}
				}
				return err
			case recordConfig:
				return config(f.Data, 1, v)
			case recordRun:
				return wire.Fields(f.Data, unreadable, func(g wire.Field) error {
					if g.Num != 4 {
						return nil
					}
					return config(g.Data, 1, v)
				})
			case recordExit:
				finished = true
			}
			return nil
		})
	})
	if err == nil && !finished {
		err = wrong("it ends before its run does")
	}
	return err
}

func config(b []byte, update protowire.Number, v Visitor) error {
	return wire.Fields(b, unreadable, func(f wire.Field) error {
		if f.Num != update {
			return nil
		}
		name, value, err := item(f.Data)
		if err != nil || name == "_wandb" || strings.HasPrefix(name, "_wandb.") {
			return err
		}
		return flat(name, value, 0, func(name string, value any) error {
			switch value := value.(type) {
			case string:
				return v.Config(name, value)
			case float64:
				return v.Config(name, strconv.FormatFloat(value, 'g', -1, 64))
			case bool:
				return v.Config(name, strconv.FormatBool(value))
			case []any:
				raw, err := json.Marshal(value)
				if err != nil {
					return nil
				}
				return v.Config(name, string(raw))
			}
			return nil
		})
	})
}

// history is the numbers of one step. W&B's own names begin with an underscore.
func history(b []byte, nth int64, m media, v Visitor) error {
	step, seconds := nth, 0.0
	all, err := m.numbers(b)
	if err == nil {
		err = wire.Fields(b, unreadable, func(f wire.Field) error {
			if f.Num != 2 {
				return nil
			}
			return wire.Fields(f.Data, unreadable, func(g wire.Field) error {
				if g.Num == 1 {
					step = int64(g.N)
				}
				return nil
			})
		})
	}
	for _, n := range all {
		switch n.name {
		case "_step":
			step = int64(max(min(n.value, 1<<53), -(1 << 53)))
		case "_timestamp":
			seconds = n.value
		}
	}
	for _, n := range all {
		if err == nil && !strings.HasPrefix(n.name, "_") {
			err = v.History(n.name, step, seconds, n.value)
		}
	}
	return err
}

// leaf is a number of an item.
type leaf struct {
	name  string
	value float64
}

// media are the names of images, tables and the like: newer logs have an item for each of their sizes, beside one that says of what type it is.
type media map[string]bool

const mostOfMedia = 10_000 // names

// numbers are those of the items of a record, in their order, without what is of an image or a table.
func (m media) numbers(b []byte) (out []leaf, err error) {
	var all []leaf
	err = wire.Fields(b, unreadable, func(f wire.Field) error {
		if f.Num != 1 { // of a summary what is updated; what is removed stays in the history
			return nil
		}
		name, value, err := item(f.Data)
		if err != nil {
			return err
		}
		if of, is := strings.CutSuffix(name, "._type"); is && len(of) <= mostName && len(m) < mostOfMedia {
			m[of] = true
		}
		return flat(name, value, 0, func(name string, value any) error {
			if n, ok := value.(float64); ok {
				all = append(all, leaf{name, n})
			}
			return nil
		})
	})
	for _, n := range all {
		if !m.has(n.name) {
			out = append(out, n)
		}
	}
	return out, err
}

func (m media) has(name string) bool {
	if len(m) == 0 {
		return false
	}
	for at := strings.IndexByte(name, '.'); at >= 0 && at <= mostName; {
		if m[name[:at]] {
			return true
		}
		next := strings.IndexByte(name[at+1:], '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return false
}

const (
	deepest  = 16      // that a value may be nested
	mostName = 512     // bytes of a name that others stand below
	mostJSON = 1 << 20 // bytes of a value of JSON, which takes many times that when it is read
)

// flat yields the leaves of a value. What W&B itself lays down, as of an image, has a _type.
func flat(name string, value any, depth int, yield func(string, any) error) error {
	m, isMap := value.(map[string]any)
	if !isMap {
		return yield(name, value)
	}
	if _, media := m["_type"]; media || depth >= deepest || len(name) > mostName {
		return nil // a long name before each of many would be made once for every one
	}
	for _, k := range slices.Sorted(maps.Keys(m)) { // two may come to one name, and the last counts
		if err := flat(name+"."+k, m[k], depth+1, yield); err != nil {
			return err
		}
	}
	return nil
}

// item is a name and its value: null, a boolean, a number, a text, or JSON. The value stands in a
// field of its type, and in value_json as older ones write it.
func item(b []byte) (name string, value any, err error) {
	var key string
	var parts []string
	err = wire.Fields(b, unreadable, func(f wire.Field) error {
		switch f.Num {
		case 1:
			key = string(f.Data)
		case 2:
			parts = append(parts, string(f.Data))
		case 4:
			value = f.N != 0
		case 5:
			value = float64(protowire.DecodeZigZag(f.N))
		case 6:
			value = math.Float64frombits(f.N)
		case 7:
			value = string(f.Data)
		case 8, 16:
			value = decoded(f.Data)
		}
		return nil
	})
	if key != "" {
		parts = append([]string{key}, parts...)
	}
	return strings.Join(parts, "."), value, err
}

// decoded is JSON as Python writes it, with names of what is no number.
func decoded(b []byte) (v any) {
	switch string(b) {
	case "NaN":
		return math.NaN()
	case "Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	if len(b) > mostJSON || json.Unmarshal(b, &v) != nil {
		return nil
	}
	return v
}

var unreadable = wrong("a record cannot be read")
