// The four dashboards: what each asks, and how it is drawn.

package main

import "github.com/grafana/grafana-foundation-sdk/go/cog/variants"

type variantsDataquery = variants.Dataquery

var (
	repository = variable{"repository", "Repository", "label_values(vishwa_ledger_entries, repository)"}
	model      = variable{"model", "Model", "label_values(vishwa_model_info, model)"}
	monitor    = variable{"monitor", "Monitor", `label_values(vishwa_monitor_verdict{repository=~"$repository"}, monitor)`}
)

func line(wide uint32, title, unit, expr, legend string) panel {
	return panel{"lines", title, "", unit, wide, []query{{expr, legend}}}
}

func number(title, unit, expr string) panel {
	return panel{"stat", title, "", unit, 6, []query{{expr, ""}}}
}

func rows(wide uint32, title, expr string) panel {
	return panel{"table", title, "", "", wide, []query{{expr, ""}}}
}

var all = []board{
	{"fleet", "Vishwa: fleet", "All that is deployed and watched, over all repositories.", []variable{repository}, []panel{
		number("Deployments that answer", "short", `sum(vishwa_deployment_up{repository=~"$repository"})`),
		number("Deployments that do not", "short", `sum(1 - vishwa_deployment_up{repository=~"$repository"}) or vector(0)`),
		number("Monitors that are not well", "short", `sum(vishwa_monitor_verdict{repository=~"$repository",verdict=~"drifted|fault"}) or vector(0)`),
		number("Incidents", "short", `sum(vishwa_incidents_open{repository=~"$repository"}) or vector(0)`),
		line(12, "Deployments", "short", `vishwa_deployment_up{repository=~"$repository"}`, "{{repository}} {{deployment}}"),
		line(12, "Columns that have drifted", "percentunit", `vishwa_drift_columns_ratio{repository=~"$repository"}`, "{{repository}} {{monitor}}"),
		rows(12, "Models", `vishwa_model_info{repository=~"$repository"}`),
		rows(12, "Verdicts", `vishwa_monitor_verdict{repository=~"$repository"} == 1`),
		line(24, "Steps that failed in an hour", "short", `sum by (repository, kind, reason) (increase(vishwa_step_failures_total{repository=~"$repository"}[1h]))`, "{{repository}} {{kind}} {{reason}}"),
	}},
	{"model", "Vishwa: model", "One model: what is released, how it is trained, and what its monitors find.", []variable{repository, model}, []panel{
		rows(24, "Released", `vishwa_model_info{repository=~"$repository",model=~"$model"}`),
		line(12, "Columns that have drifted", "percentunit", `vishwa_drift_columns_ratio{repository=~"$repository",model=~"$model"}`, "{{monitor}}"),
		rows(12, "Verdicts", `vishwa_monitor_verdict{repository=~"$repository",model=~"$model"} == 1`),
		line(12, "Training runs in a day", "short", `sum by (config, result) (increase(vishwa_training_runs_total[1d]))`, "{{config}} {{result}}"),
		line(12, "How long training takes, 95 %", "s", `histogram_quantile(0.95, sum by (le, config) (rate(vishwa_training_duration_seconds_bucket[1d])))`, "{{config}}"),
	}},
	{"drift", "Vishwa: drift", "What monitors find, column by column.", []variable{repository, monitor}, []panel{
		rows(24, "Verdicts", `vishwa_monitor_verdict{repository=~"$repository",monitor=~"$monitor"} == 1`),
		line(12, "Scores", "short", `vishwa_drift_score{repository=~"$repository",monitor=~"$monitor"}`, "{{monitor}} {{column}} ({{method}})"),
		line(12, "Columns that have drifted", "short", `sum by (monitor, column) (vishwa_drift_detected{repository=~"$repository",monitor=~"$monitor"})`, "{{monitor}} {{column}}"),
		line(12, "Share of the columns", "percentunit", `vishwa_drift_columns_ratio{repository=~"$repository",monitor=~"$monitor"}`, "{{monitor}}"),
		line(12, "Since the last verdict", "s", `time() - vishwa_drift_last_run_timestamp_seconds{repository=~"$repository",monitor=~"$monitor"}`, "{{monitor}}"),
		line(24, "Windows in a day", "short", `sum by (monitor, verdict) (increase(vishwa_monitor_windows_total{repository=~"$repository",monitor=~"$monitor"}[1d]))`, "{{monitor}} {{verdict}}"),
	}},
	{"controller", "Vishwa: controller", "How the controller does.", []variable{repository}, []panel{
		number("Version", "short", `count by (version) (vishwa_build_info)`),
		number("Keys are open", "short", `min(vishwa_keys_open)`),
		number("Wait for a pass", "short", `sum(vishwa_queue_depth)`),
		number("Replicas", "short", `max(vishwa_replicas)`),
		line(12, "Passes, 95 %", "s", `histogram_quantile(0.95, sum by (le, kind) (rate(vishwa_reconcile_duration_seconds_bucket[5m])))`, "{{kind}}"),
		line(12, "What failed in an hour", "short", `sum by (kind, reason) (increase(vishwa_reconcile_errors_total[1h]))`, "{{kind}} {{reason}}"),
		line(12, "Requests to Git", "reqps", `sum by (repository, operation) (rate(vishwa_git_requests_total{repository=~"$repository"}[5m]))`, "{{repository}} {{operation}}"),
		line(12, "Webhooks", "reqps", `sum by (event, result) (rate(vishwa_webhooks_total[5m]))`, "{{event}} {{result}}"),
		line(12, "Alerts sent in an hour", "short", `sum by (receiver, result) (increase(vishwa_alerts_sent_total[1h]))`, "{{receiver}} {{result}}"),
		line(12, "Entries of the ledger", "short", `vishwa_ledger_entries{repository=~"$repository"}`, "{{repository}}"),
		line(12, "Memory", "bytes", `process_resident_memory_bytes * on (instance) group_left () (vishwa_build_info * 0 + 1)`, "{{instance}}"),
		line(12, "Connections that were ended", "short", `sum by (reason) (increase(vishwa_connections_ended_total[1h]))`, "{{reason}}"),
		rows(12, "Repositories of this replica", `vishwa_repositories`),
	}},
}
