from pyspark.sql import SparkSession

import fraudscan.spark

spark = SparkSession.builder.getOrCreate()
messages = spark.read.json("examples/messages.jsonl")
scored = fraudscan.spark.annotate(messages, text="text")
flagged = scored.where("fraud_verdict = 'flag'").groupBy("fraud_label").count()
print(sorted(map(tuple, flagged.collect())))
