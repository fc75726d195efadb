package tracking

import (
	"math"
	"strings"
	"testing"
)

// TestALineReportsAMetric: as JSON, Python, XGBoost and LightGBM write it, and nothing else does.
func TestALineReportsAMetric(t *testing.T) {
	nan := math.NaN()
	for line, want := range map[string]struct {
		step  int64
		value float64
		ok    bool
	}{
		`{"step": 3, "valid.rmse": 0.5}`:                                                         {3, 0.5, true},
		`{"epoch": 2, "valid": {"rmse": 1}}`:                                                     {2, 1, true},
		`  {"valid": {"rmse": 1e-3}}` + "\r":                                                     {-1, 1e-3, true},
		`{'epoch': 7, 'valid.rmse': 0.25}`:                                                       {7, 0.25, true},
		`{"step": 4, "valid.rmse": NaN}`:                                                         {4, nan, true},
		`{"step": 4, "valid.rmse": -Infinity}`:                                                   {4, nan, true},
		`{'step': 4, 'valid.rmse': nan, 'x': None}`:                                              {4, nan, true},
		"[12]\tvalid.rmse:0.31\tother:2":                                                         {12, 0.31, true},
		"[12]\tother: 1\tvalid.rmse: 0.31":                                                       {12, 0.31, true},
		"[12]\tvalid.rmse:inf":                                                                   {12, nan, true},
		`{'step': 3, 'valid.rmse': np.float64(0.5)}`:                                             {3, 0.5, true},
		`{'step': np.int64(3), 'valid.rmse': np.float32(nan)}`:                                   {3, nan, true},
		`{'step': 3, 'valid.rmse': tensor(0.5000, device='cuda:0', grad_fn=<MseLossBackward0>)}`: {3, 0.5, true},
		`{'step': 3, 'valid.rmse': Array(-1e-3, dtype=float32, weak_type=True), 'b': array(1, dtype=int32)}`: {3, -1e-3, true},
		`{'epoch': 3, 'valid.rmse': <tf.Tensor: shape=(), dtype=float32, numpy=0.5>, 'at': np.str_('x')}`:    {},
		`{'epoch': 3, 'valid.rmse': <tf.Tensor: shape=(), dtype=float32, numpy=0.5>}`:                        {3, 0.5, true},
		`INFO:root:{"step": 3, "valid.rmse": 0.5}`:                                                           {3, 0.5, true},
		`[2026-11-29 10:00:00] {'step': 3, 'valid.rmse': 0.5}`:                                               {3, 0.5, true},
		`{'step': 3, 'valid.rmse': tensor([0.5, 0.6])}`:                                                      {},
		`{"step": 3, "valid.rmse": "0.5"}`:                                                                   {},
		`{"step": 3, "valid.rmse": null}`:                                                                    {},
		`{"step": 3, "train.rmse": 0.5}`:                                                                     {},
		`[12] no metric`:                                                                                     {},
		"[x]\tvalid.rmse:1":                                                                                  {},
		`{"step": 3, "valid.rmse": `:                                                                         {},
		`valid.rmse 0.5`:                                                                                     {},
		``:                                                                                                   {},
		`[`:                                                                                                  {},
		`{"valid.rmse": 1}` + strings.Repeat(" ", 70<<10) + "x":                                              {},
	} {
		step, value, ok := Report(line, "valid.rmse")
		if ok != want.ok || ok && (step != want.step || value != want.value && !(math.IsNaN(value) && math.IsNaN(want.value))) {
			t.Errorf("%.60q: %d %v %t, not %v", line, step, value, ok, want)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add(`{"step": 3, "valid.rmse": NaN}`)
	f.Add("[12]\tvalid.rmse:0.31")
	f.Fuzz(func(t *testing.T, line string) {
		if step, value, ok := Report(line, "valid.rmse"); ok && (step < -(1<<53) || math.IsInf(value, 0)) {
			t.Errorf("%q: %d %v", line, step, value)
		}
	})
}
