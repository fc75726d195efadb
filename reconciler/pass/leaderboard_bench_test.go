// What the board of a large search costs.

package pass

import "testing"

func BenchmarkLeaderboardOfTenThousandTrials(b *testing.B) {
	h, w := newHouse(tree(replaced("candidates: {low: {params: {auc: 0.7}}, high: {params: {auc: 0.9}}}", "search: {random: {trials: 9990, seed: 1, space: {auc: {min: 0.1, max: 0.99}, rate: {min: 0.0001, max: 1, scale: log}}}}")))
	if r, err := h.Apply(b.Context(), ApplyOptions{}); err != nil || r.Err() != nil {
		b.Fatal(err, r.Err())
	}
	seen, err := h.Preview(b.Context())
	if err != nil || w.facts.Count < 9990 {
		b.Fatal(err)
	}
	for b.Loop() {
		if all := Leaderboards(seen); len(all) != 1 || len(all[0].Rows) != 9990 || all[0].Rows[0].Metrics == nil {
			b.Fatalf("%d boards", len(all))
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "board-s")
	b.ReportMetric(1, "board-s-goal")
}
