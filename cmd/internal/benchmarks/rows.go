package main

// row is one measurement that can be run by itself.
type row struct {
	name  string // of its file, and what is asked for: make bench ROWS=name
	group string // rows of a group want a server or much time, and have a target of make of their own
	what  string
	pkg   string
	bench string // for go test -bench
	count string // for -benchtime, once without
}

func (r row) times() string {
	if r.count == "" {
		return "1x"
	}
	return r.count
}

const vishwa = "./cmd/vishwa"

// beside is a row of cmd/vishwa's own.
func beside(name, group, what string) row {
	return row{name: name, group: group, what: what, pkg: vishwa, bench: "^BenchmarkBeside$/^" + name + "$"}
}

var rows = []row{
	beside("version", "", "what a command costs that does nothing, next to terraform and git"),
	beside("candidates", "", "validate and plan of one training with many candidates"),
	beside("plan", "", "a plan that finds nothing to do"),
	beside("policy", "", "policy check next to conftest"),
	beside("ledger-verify", "", "ledger verify next to a loop of git verify-commit"),
	beside("fold", "", "the first command in a clone of a long ledger"),
	beside("binary", "", "how large the program is, and by what"),
	beside("controller", "", "a controller's first passes of a hundred local repositories"),
	beside("trivial", "", "apply of a training that takes no time"),
	beside("entry", "", "from a push to a local repository to its entry"),
	beside("folder", "", "a folder of many files in Git next to git status"),
	beside("small-files", "data", "add, status and checkout of many small files next to DVC"),
	beside("stages", "data", "a plan that finds nothing to do next to dvc status"),
	beside("transfer", "data", "push and pull of many small files next to DVC and s5cmd, with a real MinIO"),
	beside("large-file", "data", "add of one large file next to md5sum and openssl"),
	beside("profile", "data", "profile of a CSV next to pandas and polars"),
	beside("model-apply", "data", "apply of a large model next to cp and openssl"),
	beside("model-verify", "data", "verify of a large model next to model_signing and openssl"),
	{name: "leaderboard", what: "the board of ten thousand trials", pkg: "./reconciler/pass", bench: "^BenchmarkLeaderboardOfTenThousandTrials$", count: "10x"},
	{name: "isolation", what: "what each level of isolation costs", pkg: vishwa, bench: "^Benchmark(RunStart|Opens|Compute)$", count: "30x"},
	{name: "replicas", what: "three controllers that share a thousand idle repositories", pkg: "./reconciler/controller", bench: "^BenchmarkReplicas$"},
	{name: "idle", what: "one controller of a thousand idle repositories", pkg: "./reconciler/controller", bench: "^BenchmarkIdle"},
	{name: "append", what: "appending to the ledger", pkg: "./reconciler/adapter/gitledger", bench: "^BenchmarkLedger$", count: "40x"},
	{name: "storm", what: "thirty-two writers of one ledger at once", pkg: "./reconciler/adapter/gitledger", bench: "^BenchmarkStorm$", count: "3x"},
	{name: "mirror", what: "a first clone and ten thousand refs, next to git", pkg: "./reconciler/adapter/mirror", bench: "^Benchmark(MirrorClone|Refs)$"},
	{name: "comment", what: "from a push to the comment", pkg: vishwa, bench: "^BenchmarkPushToComment$"},
	{name: "drift-columns", what: "a drift measurement of many columns", pkg: "./reconciler/app", bench: "^BenchmarkManyColumns$"},
	{name: "false-alarms", what: "how often drift is called where there is none", pkg: "./reconciler/engine/drift", bench: "^BenchmarkFalseAlarms$"},
	{name: "drift", group: "drift", what: "drift next to Evidently", pkg: "./reconciler/engine/drift", bench: "^BenchmarkBesideEvidently$"},
	{name: "decisions", what: "a decision of the rules", pkg: "./policy", bench: "^Benchmark(Decision|Prepare)$", count: "1s"},
	{name: "sign", what: "signing and verifying a large model", pkg: "./reconciler/adapter/signer", bench: "^BenchmarkLargeModel$"},
	{name: "proxy", what: "questions through the public port, next to a stock ReverseProxy", pkg: "./reconciler/adapter/server", bench: "^BenchmarkProxy$"},
	{name: "deploy", what: "from a release to its traffic", pkg: "./reconciler/adapter/server", bench: "^BenchmarkDeploy$"},
	{name: "split", what: "what a proxy adds that divides the requests, at 2,000 a second", pkg: "./reconciler/adapter/server", bench: "^BenchmarkSplit$", count: "3x"},
	{name: "look", what: "a look at a thousand objects of a cluster that a double plays", pkg: "./reconciler/adapter/server/kubernetes", bench: "^BenchmarkLook$"},
	{name: "kubernetes-look", group: "kubernetes", what: "a look at a thousand objects of a cluster, next to kubectl diff", pkg: "./reconciler/adapter/server/kubernetes", bench: "^BenchmarkKubernetesLook$"},
	{name: "elsewhere", what: "a thousand runs that are under way elsewhere", pkg: "./reconciler/app", bench: "^BenchmarkThousand"},
	{name: "package", group: "package", what: "a model into a registry, next to crane and oras", pkg: "./reconciler/adapter/packager", bench: "^BenchmarkPackAndPush$"},
	{name: "mlflow-record", group: "mlflow", what: "runs with the courses of their metrics in MLflow, next to its own client", pkg: "./reconciler/adapter/tracker", bench: "^BenchmarkMLflowBeside$/^mlflow-record$"},
	{name: "mlflow-push", group: "mlflow", what: "a large model as a LoggedModel into MinIO, next to MLflow's own client", pkg: "./reconciler/adapter/tracker", bench: "^BenchmarkMLflowBeside$/^mlflow-push$"},
	{name: "wandb-read", what: "a log of W&B of 100 MB", pkg: "./reconciler/format/wandb", bench: "^BenchmarkRead$", count: "3x"},
	{name: "kafka", group: "kafka", what: "a range of a topic, next to Kafka's console consumer", pkg: "./reconciler/adapter/source", bench: "^BenchmarkKafkaBeside$"},
	{name: "docker", group: "docker", what: "a run through Docker, next to docker run", pkg: "./reconciler/adapter/launcher/docker", bench: "^BenchmarkDockerBeside$", count: "20x"},
	{name: "kubernetes-queue", group: "kubernetes", what: "tasks under one quota of a cluster, next to kubectl", pkg: "./reconciler/adapter/launcher", bench: "^BenchmarkKubernetesQueue$"},
	{name: "kubernetes-run", group: "kubernetes", what: "a run on a cluster, next to kubectl, and a changed line", pkg: "./reconciler/app", bench: "^BenchmarkKubernetes(Run|Change)$"},
}
