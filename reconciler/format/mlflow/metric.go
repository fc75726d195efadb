// Which of a run's metrics tells candidates apart, by the names that people give them.

package mlflow

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// less and more are words of metrics of which less, or more, is better.
var (
	less = []string{"loss", "logloss", "mlogloss", "error", "err", "rmse", "mse", "mae", "mape", "smape", "perplexity", "wer", "cer", "brier", "deviance", "rmsle"}
	more = []string{"accuracy", "acc", "auc", "auroc", "auprc", "f1", "precision", "recall", "r2", "score", "ndcg", "map", "bleu", "rouge", "iou", "miou", "dice", "kappa", "mcc", "ap"}
)

// choose is the metric that a model is selected by, and its goal; "": of none it is known which way is better. One of a test counts before one
// of validation, that before one without a word for it, and that before one of training.
func choose(metrics map[string]float64) (metric, goal string) {
	best := -1
	for _, name := range slices.SortedFunc(maps.Keys(metrics), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) {
		if v := metrics[name]; len(name) > mostMetric || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
		has := func(list ...string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
		}
		way := ""
		switch {
		case has(less...):
			way = "minimize"
		case has(more...):
			way = "maximize"
		default:
			continue
		}
		rank := 1
		switch {
		case has("test", "testing", "holdout"):
			rank = 3
		case has("val", "valid", "validation", "eval", "dev"):
			rank = 2
		case has("train", "training"):
			rank = 0
		}
		if rank > best { // of several the shortest
			best, metric, goal = rank, name, way
		}
	}
	return metric, goal
}

const mostMetric = 200 // bytes of a name
