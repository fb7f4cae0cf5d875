"""DPStatisticsGen: StatisticsGen, with noise."""
