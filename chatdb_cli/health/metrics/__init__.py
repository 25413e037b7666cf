"""Metrics of a database for Prometheus.

    model           a metric, and the collector that reads it
    collectors      the table of all metrics: names, kinds, descriptions, labels
    collect         read all of them from a database
    migrations      how many migrations are applied, pending and unfinished
    cursors         how far listeners have read the change log
    files           the files of the migrations, read again when they have changed
    families        from the rows of the server to prometheus_client's values
    meters          what this process counts about itself
    queries         every statement that collects metrics

What belongs here: names, units and labels of metrics, and reading their values.  What does not belong
here: HTTP (`health/serve/`), thresholds and judgments (`health/checks/`).  Only `families` and `meters`
import prometheus_client, and only the server imports these.
"""
