package team_test

import data.team

test_dataset_without_columns_is_warned_of if {
	count(team.warn) == 1 with input as {"step": {"kind": "dataset", "ref": "dataset/x"}, "spec": {}}
}

test_dataset_with_columns_passes if {
	count(team.warn) == 0 with input as {"step": {"kind": "dataset", "ref": "dataset/x"}, "spec": {"columns": {"a": {}}}}
}
