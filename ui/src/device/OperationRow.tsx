import { Button, Collapse, Group } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { mergeOperation } from '../api/merge';
import { cancelOperation, operationBody } from '../api/operation';
import type { Operation } from '../api/shape';
import { Age } from '../parts/Age';
import { OperationBadge } from '../parts/Badges';
import { Code, sayFailed } from '../parts/Bits';
import { sayName } from '../parts/say';
import { text } from '../text';

export function OperationRow({ operation, compact }: { operation: Operation; compact?: boolean }) {
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const body = operationBody(operation);
  const result = (operation.c8y_Command as { result?: unknown } | undefined)?.result;
  const title = operation.description || Object.keys(body).map(sayName).join(', ') || operation.id;
  const cancel = useMutation({
    mutationFn: () => cancelOperation(operation.id, text.control.cancelReason),
    onSuccess: () =>
      mergeOperation(client, 'UPDATE', { ...operation, status: 'FAILED', failureReason: text.control.cancelReason }),
    onError: (error) => sayFailed(error, 'ROLE_DEVICE_CONTROL_ADMIN'),
  });
  return (
    <li data-testid="operation-row" data-id={operation.id} data-status={operation.status}>
      <div style={{ display: 'flex', flexWrap: 'wrap', gap: '6px 12px', alignItems: 'center' }}>
        <div style={{ flex: '1 1 220px', minWidth: 0 }}>
          <div className="break" style={{ fontWeight: 550 }}>
            {title}
          </div>
          <div className="soft" style={{ fontSize: 13 }}>
            <Age time={operation.creationTime} />
          </div>
          {operation.status === 'FAILED' && operation.failureReason && (
            <div className="break" style={{ fontSize: 13, color: 'var(--critical)' }}>
              {text.control.reason}: {operation.failureReason}
            </div>
          )}
        </div>
        <OperationBadge status={operation.status} />
        {!compact && (
          <Group gap={6}>
            {operation.status === 'PENDING' && (
              <Button size="compact-md" variant="default" loading={cancel.isPending} onClick={() => cancel.mutate()}>
                {text.control.cancel}
              </Button>
            )}
            <Button size="compact-md" variant="subtle" aria-expanded={open} onClick={() => setOpen(!open)}>
              {text.control.show}
            </Button>
          </Group>
        )}
      </div>
      {typeof result === 'string' && result && (
        <pre className="code answer" aria-label={text.control.result} data-brief={compact} data-testid="operation-result">
          {result}
        </pre>
      )}
      {!compact && (
        <Collapse expanded={open}>
          <div style={{ paddingTop: 10 }}>
            <Code>{JSON.stringify(body, null, 2)}</Code>
          </div>
        </Collapse>
      )}
    </li>
  );
}
