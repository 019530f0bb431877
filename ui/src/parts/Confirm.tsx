import { Button, Group, Modal, Text } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { text } from '../text';

interface ConfirmProps {
  label: string;
  question: string;
  onYes: () => void;
  children: (ask: () => void) => ReactNode;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ label, question, onYes, children }: ConfirmProps) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      {children(() => setAsking(true))}
      <Modal
        opened={asking}
        onClose={() => setAsking(false)}
        title={label}
        centered
        closeButtonProps={{ 'aria-label': text.action.close }}
      >
        <Text size="sm">{question}</Text>
        <Group justify="flex-end" mt="lg">
          <Button variant="default" onClick={() => setAsking(false)}>
            {text.action.cancel}
          </Button>
          <Button
            color="red"
            data-autofocus
            onClick={() => {
              setAsking(false);
              onYes();
            }}
          >
            {label}
          </Button>
        </Group>
      </Modal>
    </>
  );
}
