-- chatdb: transactionl: false
SELECT 1;