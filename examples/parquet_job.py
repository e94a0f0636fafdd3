"""A Spark job: Parquet in, the same rows with fraudscan's columns out as Parquet.

spark-submit examples/parquet_job.py IN OUT [--text COLUMN] [--model FOLDER]
"""

from __future__ import annotations

import argparse

from pyspark.sql import SparkSession

from fraudscan.spark import annotate


def main() -> None:
    """Run the job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="IN", help="Parquet that Spark can read")
    parser.add_argument("target", metavar="OUT", help="a folder that does not exist yet")
    parser.add_argument("--text", default="text", metavar="COLUMN", help="the column with the text")
    parser.add_argument("--model", metavar="FOLDER", help="a model folder on this machine (default: the shipped one)")
    arguments = parser.parse_args()
    spark = SparkSession.builder.appName("fraudscan").getOrCreate()
    frame = spark.read.parquet(arguments.source)
    annotate(frame, text=arguments.text, model=arguments.model).write.parquet(arguments.target)


if __name__ == "__main__":
    main()
