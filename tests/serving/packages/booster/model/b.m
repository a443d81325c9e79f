booster
