// What a run reports while it goes on: a line that it prints, as one object of JSON, as Python prints a dictionary, or as XGBoost and LightGBM
// print an iteration.

package tracking

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Report is the value of a metric in a printed line, by its dotted name; false where the line says nothing of it. The step is that which
// the line names, or -1. A value that is NaN or infinite is NaN.
func Report(line, metric string) (step int64, value float64, ok bool) {
	line = strings.TrimSpace(line)
	if len(line) > mostReport || !strings.Contains(line, metric[strings.LastIndexByte(metric, '.')+1:]) { // most lines say nothing of it
		return 0, 0, false
	}
	if strings.HasPrefix(line, "[") {
		if step, value, ok := iteration(line, metric); ok {
			return step, value, true
		}
	}
	if at := strings.IndexByte(line, '{'); at > 0 && strings.HasSuffix(line, "}") { // behind what logging writes before it
		line = line[at:]
	}
	v := reported(line)
	step = -1
	for _, at := range []string{"step", "epoch"} {
		if n, is := v[at].(float64); is && n > -(1<<53) && n < 1<<53 {
			step = int64(n)
			break
		}
	}
	err := leaves("", ".", v, 0, func(name string, v any) error {
		if name != metric {
			return nil
		}
		switch v := v.(type) {
		case float64:
			value, ok = v, true
		case string:
			if ok = v == "NaN"; ok {
				value = math.NaN()
			}
		}
		return errFound
	})
	return step, value, ok && errors.Is(err, errFound)
}

// mostReport is how long a line that reports may be: all that a run prints is looked at.
const mostReport = 8 << 10

var errFound = errors.New("found")

// reported is a line that is one object of JSON or a dictionary as Python prints it, where what is no number is the text NaN.
func reported(line string) map[string]any {
	v := dictionary(line)
	if v != nil || !strings.HasPrefix(line, "{") {
		return v
	}
	line = unwrapped(line)
	quote := `"`
	if !strings.Contains(line, quote) {
		quote = "'" // as Python prints it
	}
	return dictionary(notNumbers.ReplaceAllString(line, "${1}"+quote+"NaN"+quote))
}

// notNumbers are what JSON has no number for, as Python writes them.
var notNumbers = lazyregexp.New(`([:,\[]\s*)[-+]?(?:NaN|nan|Infinity|inf)\b`)

// wrapped are numbers as NumPy 2, PyTorch, TensorFlow and JAX print them in a dictionary: np.float64(0.5), tensor(0.5, device='cuda:0'),
// Array(0.5, dtype=float32), <tf.Tensor: shape=(), dtype=float32, numpy=0.5>.
var wrapped = lazyregexp.New(`\b(?:(?:np|numpy)\.(?:float|int|uint|longdouble|half)\w*|tensor|[aA]rray)\(\s*([-+.\w]+)\s*(?:,[^()]*(?:\([^()]*\)[^()]*)?)?\)|<tf\.Tensor: shape=\(\), dtype=\w+, numpy=([-+.\w]+)>`)

func unwrapped(line string) string { return wrapped.ReplaceAllString(line, "${1}${2}") }

// iteration reads [12]<tab>validation_0-rmse:0.31 and [12]<tab>valid_0's l2: 0.31.
func iteration(line, metric string) (step int64, value float64, ok bool) {
	number, rest, ends := strings.Cut(line[1:], "]")
	step, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if !ends || err != nil || step < 0 || step >= 1<<53 {
		return 0, 0, false
	}
	for _, field := range strings.Split(rest, "\t") {
		at := strings.LastIndexByte(field, ':')
		if at < 0 || strings.TrimSpace(field[:at]) != metric {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(field[at+1:]), 64)
		if err != nil && !isRange(err) {
			return 0, 0, false
		}
		if math.IsInf(value, 0) {
			value = math.NaN()
		}
		return step, value, true
	}
	return 0, 0, false
}
