package rollout

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// outcome of one rollout that is looked at with every request: what was said first, and after how many.
func watch(t Test, random *rand.Rand, canary, baseline float64, ratio, most int) (Verdict, int) {
	var a, b Sample
	hit := func(s *Sample, p float64) {
		if random.Float64() < p {
			s.Add(1)
		} else {
			s.Add(0)
		}
	}
	for i := range most {
		hit(&a, canary)
		for range ratio {
			hit(&b, baseline)
		}
		if interval, told := t.Compare(a, b); told && t.verdict(interval) != Undecided {
			return t.verdict(interval), i + 1
		}
	}
	return Undecided, most
}

// TestALookAtEveryRequestErrsInOneOfTwentyAtMost: a release that is worse by just the margin is neither let through
// nor sent back more often than alpha says, however often one looks; at the least rates too, and for unequal arms.
func TestALookAtEveryRequestErrsInOneOfTwentyAtMost(t *testing.T) {
	const runs, most = 600, 4000
	test := Test{Alpha: DefaultAlpha, Margin: 0.01, Most: 1}
	for _, c := range []struct {
		rate  float64
		ratio int
	}{{0, 1}, {0.001, 1}, {0.02, 1}, {0.3, 1}, {0.02, 5}} {
		random := rand.New(rand.NewPCG(1, uint64(c.rate*1e6)))
		said := map[Verdict]int{}
		for range runs {
			v, _ := watch(test, random, c.rate+test.Margin, c.rate, c.ratio, most)
			said[v]++
		}
		passed, sent := float64(said[NonInferior])/runs, float64(said[Inferior])/runs
		t.Logf("rate %g, %d to 1: let through %.3f, sent back %.3f", c.rate, c.ratio, passed, sent)
		if passed+sent > DefaultAlpha {
			t.Errorf("rate %g, %d to 1: let through %.3f, sent back %.3f", c.rate, c.ratio, passed, sent)
		}
	}
}

// TestTheSameReleaseIsSentBackHardlyEver: what is as good as the old one.
func TestTheSameReleaseIsSentBackHardlyEver(t *testing.T) {
	const runs, most = 600, 4000
	test := Test{Alpha: DefaultAlpha, Margin: 0, Most: 1}
	random := rand.New(rand.NewPCG(2, 2))
	wrong := 0
	for range runs {
		if v, _ := watch(test, random, 0.02, 0.02, 1, most); v == Inferior {
			wrong++
		}
	}
	t.Logf("%d of %d", wrong, runs)
	if float64(wrong)/runs > DefaultAlpha {
		t.Errorf("%d of %d were sent back", wrong, runs)
	}
}

// TestWhatIsWorseIsFound: how many requests it takes.
func TestWhatIsWorseIsFound(t *testing.T) {
	test := Test{Alpha: DefaultAlpha, Margin: 0.01, Most: 1}
	for _, c := range []struct {
		canary, baseline float64
		want             Verdict
		within           int // the median
	}{
		{0.5, 0.02, Inferior, 60}, {0.10, 0.02, Inferior, 500}, {0.06, 0.02, Inferior, 1500},
		{0.001, 0.001, NonInferior, 1500}, {0.02, 0.02, NonInferior, 15000},
	} {
		random := rand.New(rand.NewPCG(3, uint64(c.canary*1e6)))
		var took []int
		found := 0
		const runs = 101
		for range runs {
			v, n := watch(test, random, c.canary, c.baseline, 1, 20000)
			if v == c.want {
				found++
			}
			took = append(took, n)
		}
		slices.Sort(took)
		t.Logf("%g against %g: %s in %d of %d runs, median %d requests", c.canary, c.baseline, c.want, found, runs, took[runs/2])
		if found < runs*9/10 || took[runs/2] > c.within {
			t.Errorf("%g against %g: %s in %d of %d runs, median %d requests, and not %d", c.canary, c.baseline, c.want, found, runs, took[runs/2], c.within)
		}
	}
}

// TestNothingSeenIsNeverSuccess: nor little, nor what is no number, nor of one of both alone.
func TestNothingSeenIsNeverSuccess(t *testing.T) {
	test := Test{Alpha: DefaultAlpha, Margin: 0.5, Most: 1}
	odd := Share(0, 1000)
	odd.Add(math.NaN())
	odd.Add(math.Inf(1))
	if odd != Share(0, 1000) {
		t.Errorf("it counts what is no number: %v", odd)
	}
	for name, c := range map[string][2]Sample{
		"nothing": {}, "one alone": {Share(0, 1e6), {}}, "the other alone": {{}, Share(0, 1e6)},
		"little": {Share(0, fewest-1), Share(0, 1e6)}, "no number": {{N: 1000, Sum: math.NaN(), Squares: 0}, Share(0, 1000)},
		"all good, so far": {Share(0, fewest), Share(0, fewest)},
	} {
		tight := test
		if name == "all good, so far" {
			tight.Margin = 0.01
		}
		if v, says := tight.Judge(c[0], c[1]); v != Undecided {
			t.Errorf("%s: %s, %s", name, v, says)
		}
	}
}

// TestPairsErrInOneOfTwentyAtMost: of answers to the same requests, with a look at every pair, whether one of both errs or either.
func TestPairsErrInOneOfTwentyAtMost(t *testing.T) {
	const runs, most = 400, 4000
	for _, margin := range []float64{0.01, 0.1} {
		for _, either := range []float64{0, 0.3} { // how often the old one alone is worse
			test := Test{Alpha: DefaultAlpha, Margin: margin, Least: -1, Most: 1}
			random := rand.New(rand.NewPCG(4, uint64(margin*1e6+either*1e3)))
			passed, sent := 0, 0
			for range runs {
				var s Sample
				for range most {
					switch x := random.Float64(); {
					case x < margin+either:
						s.Add(1)
					case x < margin+2*either:
						s.Add(-1)
					default:
						s.Add(0)
					}
					if i, told := test.Pairs(s); told && test.verdict(i) != Undecided {
						if test.verdict(i) == Inferior {
							sent++
						} else {
							passed++
						}
						break
					}
				}
			}
			t.Logf("margin %g, either %g: let through %.3f, sent back %.3f", margin, either, float64(passed)/runs, float64(sent)/runs)
			if float64(passed+sent)/runs > DefaultAlpha {
				t.Errorf("margin %g, either %g: let through %d, sent back %d of %d", margin, either, passed, sent, runs)
			}
		}
	}
	test := Test{Alpha: DefaultAlpha, Margin: 0.01, Least: -1, Most: 1}
	if v, says := test.JudgePairs(Sample{}); v != Undecided {
		t.Errorf("nothing: %s, %s", v, says)
	}
	if v, says := test.JudgePairs(Share(0, 2000)); v != NonInferior {
		t.Errorf("2,000 pairs that agree: %s, %s", v, says)
	}
	unknown := Share(0, 2000)
	unknown.Unknown = 500
	if v, says := test.JudgePairs(unknown); v != Undecided || !strings.Contains(says, "500 more requests could not be compared") {
		t.Errorf("2,000 pairs that agree, and 500 that nobody knows: %s, %s", v, says)
	}
	if v, says := test.JudgePairs(Sample{Unknown: 5000}); v != Undecided {
		t.Errorf("nothing seen, as there was no room: %s, %s", v, says)
	}
	worse := Share(30, 100)
	worse.Unknown = 5000
	if v, says := test.JudgePairs(worse); v != Inferior {
		t.Errorf("30 of 100 that are worse, and many that nobody knows: %s, %s", v, says)
	}
	if v, says := test.JudgePairs(Share(30, 100)); v != Inferior {
		t.Errorf("30 of 100 differ: %s, %s", v, says)
	}
}
