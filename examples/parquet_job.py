"""A Spark job: read Parquet, add fraudscan's columns, and write the rows as Parquet.

spark-submit examples/parquet_job.py IN OUT [--text COLUMN] [--model FOLDER]
"""

from __future__ import annotations

import argparse

from pyspark.sql import SparkSession

from fraudscan.spark import annotate


def main() -> None:
    """Parse the arguments and run the job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="IN", help="the path of the Parquet data, as Spark reads it")
    parser.add_argument("target", metavar="OUT", help="a folder that does not exist yet")
    parser.add_argument("--text", default="text", metavar="COLUMN", help="the column with the text (default: text)")
    parser.add_argument("--model", metavar="FOLDER", help="a model folder on this machine (default: the shipped model)")
    arguments = parser.parse_args()
    spark = SparkSession.builder.appName("fraudscan").getOrCreate()
    frame = spark.read.parquet(arguments.source)
    annotate(frame, text=arguments.text, model=arguments.model).write.parquet(arguments.target)


if __name__ == "__main__":
    main()
